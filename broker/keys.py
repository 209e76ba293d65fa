"""Every key in Redis, with its type and meaning.

All begin with the tag `{namespace}:`, so that a cluster keeps them together and each script may touch them all.

    job:<id>         hash    one job; its fields are listed below. Expires result_ttl_s after the job ended
    queue:<queue>    stream  one entry {i: id} for each waiting or running job of a queue, which is named by the rank
                             of its priority (0 high, 1 normal, 2 low), its tenant and its batch key:
                             `1:default:gram:...`. Deleted when empty.
                             Group `workers`: what it has not delivered is waiting, what it has is running, except
                             for its pending list (consumer `back`): jobs that came back and go first
    ready:<rank>     zset    tenant -> what it has been served, in flops: those that wait; the least comes first
    ready:<rank>:<tenant>  zset  queue -> ms at which its oldest waiting job was queued
    share:<tenant>   hash    queued; served:<rank>, what it had been served when it last waited; window, done, rate: its
                             finished jobs per second
    waiting          hash    queue -> how many jobs wait
    counts           hash    queued:<rank>; served:<rank> (where the tenant stood that was served last); in_a_row
                             (batches of high ones, while others waited), passed_over (batches since a low one, while
                             such waited); running; admitted, dead, expired (ever); deliveries (of webhooks, that
                             wait) and undelivered (events of webhooks dropped or given up, ever); window, done, rate:
                             finished jobs per second, for Retry-After
    lease:<lease>    hash    one claimed batch: id -> stream entry, for the jobs not finished yet, and @queue, @worker,
                             @stop (the ids whose cancellation was asked for). Whoever is not in it cannot finish a job
    leases           zset    lease -> ms at which it expires
    idempotency:<k>  string  the id of the job admitted with this Idempotency-Key. Expires idempotency_ttl_s later.
                             The tenant and a space stand before the key, which has none; not for the tenant `default`
    index            stream  {i: id} for every job whose record exists, in the order of admission: those of the tenant
                             `default`; of another, in index:<tenant>
    dead             stream  {i: id} for every dead job whose record exists, as they died; dead:<tenant> as above
    trimming         zset    tenant -> ms at which its index may be looked through for expired records again
    trim             string  where that goes on, while it is not through; trim:<tenant> as above
    file:<id>        hash    one batch file; its fields are listed below. It expires, with its lists, as a job does
    file:<id>:output stream  {i: id, c: custom id, s: state} for each job of it that succeeded, as they ended
    file:<id>:errors stream  the same for those that ended otherwise; a job that is tried again leaves it
    files            stream  {i: id} for every batch file, in the order of submission; files:<tenant> as above
    admitting        zset    batch file that is to be admitted or cancelled further -> ms at which somebody may do it
    idempotency-file:<k>  string  as above, for a batch file
    hooks            set     tenants with webhook endpoints that take events; nobody has any where it is missing
    hooks:<tenant>   hash    endpoint -> the events it takes, with a space before and after each
    hook:<endpoint>  hash    tenant, version (of its registration in the store), dropped (events that found too many
                             waiting), delivered, abandoned; failing (ms since when nothing was delivered; only then);
                             lease (ms until which one service process has it)
    hook:<endpoint>:due     zset  message -> ms at which it is to be delivered
    hook:<endpoint>:events  hash  message -> event, id of its job or batch, kind, ms; joined by spaces
    hook:<endpoint>:tries   hash  message -> JSON of how the deliveries went that were tried
    hook:<endpoint>:recent  list  the last deliveries that ended: message, event as above, JSON; joined by spaces
    hooks-due        zset    endpoint -> ms at which its next delivery is due, or its lease ends
    deadlines        zset    job -> ms at which it expires, unless it ends before; it may be there after it ended
    probe            string  written at the start of a service that requires a durable server. Expires
    rate:<key>       hash    tokens that an API key may still spend on requests, at (ms of that number). Not while full
    bell             list    the doorbell: at most one token; a worker without work blocks on it
    progress:<id>    stream  {f: fraction} as a worker reported it, capped; only where one did
    workers          zset    worker -> ms at which it counts as gone
    worker:<name>    hash    device, started, seen (ms), running, done

    channel ended    the ids of jobs that reached a terminal state, joined by spaces
    channel moved    the ids of jobs that started or made progress, joined by spaces; file:<id> where jobs of one ended

Fields of a job:

    kind, queue, spec, print (fingerprint), bytes, flops, made (ms), seq (number of its admission),
    tenant (`default` where it is missing), trace (traceparent of who queued it; only where traces are taken)
                                                                                                      from admission
    state, entry (in its stream)                                                                      always
    lease, worker, device, began (ms), tries (deliveries), progress, stop (as what it is to end)    once claimed
    deaths (leases that expired over it), crashes (killed processes whose parent lived), alone   once a worker died
    after (ms), expires (ms): its deadline, and how long that was from the start              with a Cancel-After
    file, custom (its id in there)                                                            from a batch file
    buried (its entry in `dead`)                                                                          once dead
    listed (its entry in the output or the errors of the file)                                            once ended
    ended (ms), ran (JSON: device, batch_size, timings), result, error                                    once ended

Fields of a batch file (its queued jobs are what is left and does not run):

    print (fingerprint), made (ms), total, left (jobs that have not ended), running, admitted (lines that are jobs
    by now), offset (of the line after them), swept (lines cancelled so far), tenant (as of a job), priority  always
    succeeded, failed, cancelled, expired, dead                                            once there is such a job
    stop (cancellation was asked for), after and expires (as of a job), ended (ms)                         at times
"""

from mercer.jobs import Priority
from mercer.tenants import DEFAULT_TENANT

_RANKS = {Priority.HIGH: "0", Priority.NORMAL: "1", Priority.LOW: "2"}
_BY_RANK = {rank: priority for priority, rank in _RANKS.items()}


def tag(namespace: str) -> str:
    """What all keys of a namespace begin with; the only key that scripts are given."""
    return f"{{{namespace}}}"


def queue_name(priority: Priority, tenant: str, batch_key: str) -> str:
    """Where like jobs wait; a tenant has no colon in its name."""
    return f"{_RANKS[priority]}:{tenant}:{batch_key}"


def parts_of_queue(name: str) -> tuple[Priority, str]:
    """The priority and the batch key of the jobs in a queue."""
    rank, _, batch_key = name.split(":", 2)
    return _BY_RANK[rank], batch_key


def scoped(tenant: str, key: str) -> str:
    """An idempotency key, which has no spaces, among those of all tenants."""
    return key if tenant == DEFAULT_TENANT else f"{tenant} {key}"


def channels(namespace: str) -> tuple[str, str]:
    """The names of the channels `ended` and `moved`."""
    return f"{tag(namespace)}:ended", f"{tag(namespace)}:moved"
