"""The rows of the catalogue about money: what answers cost, and what compression changed about it."""

from typing import Final

from proxy_pkg.stats.metric import Label, Metric

_PROTOCOL = Label("protocol", values_max=12)
_MODEL = Label("model", values_max=24, foreign=True)

_ARM_SUMS = (
    "requests",
    "conversations",
    "cost",
    "input",
    "log_rise",
    "log_fall",
    "square_rise",
    "square_fall",
)

MONEY_ROWS: Final[tuple[Metric, ...]] = (
    Metric(
        "proxy_usage_tokens_total",
        "counter",
        "tokens",
        "Tokens as providers counted them; `input` are those that no cache served or took in.",
        (_PROTOCOL, _MODEL, Label("kind", ("input", "cache_read", "cache_write", "output"))),
        split=(
            ("input", "input"),
            ("cache_read", "cache_read"),
            ("cache_write", "cache_write"),
            ("output", "output"),
        ),
        record="usage",
    ),
    Metric(
        "proxy_usage_reported_total",
        "counter",
        "requests",
        "Requests whose answer reported its usage.",
        (_PROTOCOL, _MODEL),
        amount="reported",
        record="usage",
    ),
    Metric(
        "proxy_usage_missing_total",
        "counter",
        "requests",
        "Answers that reported no usage: `absent` although complete, `truncated` before it came, `unreadable` for a "
        "coding or length that is not read, `uncounted` on a path whose answers are not read.",
        (_PROTOCOL, Label("reason", ("absent", "truncated", "unreadable", "uncounted"), field="missing")),
        record="usage",
    ),
    Metric(
        "proxy_usage_incomplete_total",
        "counter",
        "requests",
        "Answers that broke off after they had reported some usage, which counts as far as it was reported.",
        (_PROTOCOL,),
        amount="incomplete",
        record="usage",
    ),
    Metric(
        "proxy_price_missing_total",
        "counter",
        "requests",
        "Requests with usage, of a model that no price is known for: they count in no cost and no saving.",
        (Label("model", values_max=24, field="unpriced"),),
        record="usage",
    ),
    Metric(
        "proxy_cost_microdollars_total",
        "counter",
        "microdollars",
        "What the usage costs at the prices of the table.",
        (_PROTOCOL, _MODEL),
        amount="cost_microdollars",
        record="usage",
    ),
    Metric(
        "proxy_gross_saving_microdollars_total",
        "counter",
        "microdollars",
        "Tokens saved, at the full price of input (estimate): what a cache would have served anyway is in it.",
        (_PROTOCOL, _MODEL),
        amount="gross_microdollars",
        record="usage",
    ),
    Metric(
        "proxy_net_gain_microdollars_total",
        "counter",
        "microdollars",
        "Of requests that cost less than they would have uncompressed, caches included: the difference (estimate).",
        (_PROTOCOL, _MODEL),
        amount="gain_microdollars",
        record="usage",
    ),
    Metric(
        "proxy_net_loss_microdollars_total",
        "counter",
        "microdollars",
        "Of requests that cost more than they would have uncompressed, caches included: the difference (estimate).",
        (_PROTOCOL, _MODEL),
        amount="loss_microdollars",
        record="usage",
    ),
    Metric(
        "proxy_calibration_sums_total",
        "counter",
        "sums",
        "Of bodies that were counted whole: how many, our tokens, the provider's, and the sums of their ratio and its "
        "square in millionths.",
        (_MODEL, Label("sum", ("samples", "estimated", "reported", "ratio", "ratio_square"))),
        split=(
            ("samples", "samples"),
            ("estimated", "estimated"),
            ("reported", "reported"),
            ("ratio", "ratio_ppm"),
            ("ratio_square", "ratio_square_ppm"),
        ),
        record="sample",
    ),
    Metric(
        "proxy_holdout_sums_total",
        "counter",
        "sums",
        "Of conversations with tool results in each arm of a hold-out: requests, conversations, cost (in hundredths of "
        "a cent) and the client's own input (in thousands of tokens); and of ln(cost / input) of each conversation and "
        "of its square, in millionths, what the sums of both rose and fell by.",
        (
            Label("arm", ("compressed", "held_out")),
            Label("sum", _ARM_SUMS),
        ),
        split=tuple((name, name) for name in _ARM_SUMS),
        record="arm",
    ),
)
