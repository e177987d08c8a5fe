select id as customer_id, name, city, since
from {{ ref("raw/customers") }}
