select id as product_id, name as product, kind, cents
from {{ ref("raw/products") }}
