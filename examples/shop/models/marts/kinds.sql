{% set kinds = ["green", "black", "blue", "herb"] %}
select substr(cast(day as varchar), 1, 7) as month,
{% for kind in kinds %}
    cast(sum(case when kind = '{{ kind }}' then cents else 0 end) as bigint) as {{ kind }}_cents,
{% endfor %}
    cast(sum(cents) as bigint) as cents
from {{ ref("sales") }}
group by 1
