select id, name, city
from raw_customers
