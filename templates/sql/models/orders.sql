-- Refunds are told apart by their sign.
select id, customer, day, amount
from raw_orders
where amount > 0
