select day, count(*) as orders, cast(sum(cents) as bigint) as cents
from {{ ref("sales") }}
group by day
