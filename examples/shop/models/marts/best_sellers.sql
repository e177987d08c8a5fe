select product, kind, cast(sum(quantity) as bigint) as packs, cast(sum(cents) as bigint) as cents
from {{ ref("sales") }}
group by product, kind
having sum(cents) >= {{ vars.least_cents }}
