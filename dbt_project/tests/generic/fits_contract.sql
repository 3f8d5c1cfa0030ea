{#- Keys that occur more than once, and rows for which a predicate of the contract is false. One test for
    both: each costs every build. Null passes: whether a column may be null is the not-null rule. -#}
{% test fits_contract(model, key, predicate) %}
select
    'key occurs more than once' as fault,
    concat_ws(' ', {{ key | join(', ') }}) as row_key
from {{ model }}
group by {{ key | join(', ') }}
having count(*) > 1
union all
select
    'a rule of the contract is broken' as fault,
    concat_ws(' ', {{ key | join(', ') }}) as row_key
from {{ model }}
where not ({{ predicate }})
{% endtest %}
