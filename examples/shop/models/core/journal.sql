-- What was sold on which day, as it was known then: days are added, and the last one is made again.
select day, count(*) as orders, cast(sum(cents) as bigint) as cents
from {{ ref("sales") }}
{% if is_incremental() %}
where day >= (select max(day) from {{ this }})
{% endif %}
group by day
