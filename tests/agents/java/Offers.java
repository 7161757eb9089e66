import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Posts many different bodies at once; its client offers h2c beside each. Prints how many answers are their own. */
public class Offers {
    public static void main(String[] arguments) {
        HttpClient client = HttpClient.newHttpClient();
        List<CompletableFuture<Boolean>> answers = new ArrayList<>();
        for (int number = 0; number < 50; number++) {
            String mark = "mark-" + number + "-" + "x".repeat(number * 50) + "-end";
            HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0] + "/v1/messages"))
                .header("content-type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString("{\"model\":\"m\",\"messages\":[],\"user\":\"" + mark + "\"}"))
                .build();
            answers.add(client.sendAsync(request, HttpResponse.BodyHandlers.ofString())
                .thenApply(answer -> answer.statusCode() == 200 && answer.body().contains(mark)));
        }
        System.out.println(answers.stream().filter(answer -> answer.join()).count());
    }
}
