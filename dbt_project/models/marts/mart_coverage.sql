with counted as (
    select
        month,
        municipality_code,
        definition,
        cast(left(month, 4) as integer) as vehicle_year,
        sum(charge_points) as charge_points,
        count(*) as classes,
        max(count(*)) over (partition by month) as classes_of_others
    from {{ ref('mart_charge_points') }}
    where source = 'rvo'
    group by month, municipality_code, definition
),

-- Without one of the classes that others have, a sum would be too low.
charge_points as (
    select * from counted
    where classes = classes_of_others
),

vehicles as (
    select
        municipality_code,
        year,
        case
            when kind = 'passenger_cars_end_user' then 'end_user'
            else 'owner'
        end as vehicle_base,
        count(*) as kinds,
        sum(vehicles) as vehicles
    from {{ ref('stg_rvo__vehicles') }}
    group by 1, 2, 3
),

-- At the owner both kinds, or it is no count.
whole_vehicles as (
    select * from vehicles
    where kinds = case vehicle_base when 'owner' then 2 else 1 end
),

bases (vehicle_base) as (
    values ('end_user'), ('owner')
),

joined as (
    select
        charge_points.month,
        charge_points.municipality_code,
        bases.vehicle_base,
        charge_points.charge_points,
        charge_points.definition,
        charge_points.vehicle_year,
        vehicles.vehicles,
        inhabitants.inhabitants,
        given.charge_points_per_vehicle as rvo_charge_points_per_vehicle,
        cast(
            cast(charge_points.charge_points as decimal(18, 6)) / nullif(vehicles.vehicles, 0)
            as decimal(12, 6)
        ) as charge_points_per_vehicle
    from charge_points
    cross join bases
    left join whole_vehicles as vehicles
        on
            charge_points.municipality_code = vehicles.municipality_code
            and charge_points.vehicle_year = vehicles.year
            and bases.vehicle_base = vehicles.vehicle_base
    left join {{ ref('stg_rvo__inhabitants') }} as inhabitants
        on
            charge_points.municipality_code = inhabitants.municipality_code
            and charge_points.vehicle_year = inhabitants.year
    left join {{ ref('stg_rvo__coverage') }} as given
        on
            charge_points.municipality_code = given.municipality_code
            and charge_points.month = given.month
    where bases.vehicle_base = 'end_user' or vehicles.vehicles is not null
),

final as (
    select
        month,
        municipality_code,
        vehicle_base,
        cast(charge_points as bigint) as charge_points,
        definition,
        vehicle_year,
        cast(vehicles as integer) as vehicles,
        charge_points_per_vehicle,
        cast(
            cast(vehicles as decimal(18, 6)) / nullif(charge_points, 0) as decimal(12, 6)
        ) as vehicles_per_charge_point,
        inhabitants,
        cast(
            cast(1000 * charge_points as decimal(18, 6)) / inhabitants as decimal(12, 6)
        ) as charge_points_per_1000_inhabitants,
        rvo_charge_points_per_vehicle,
        cast(
            charge_points_per_vehicle - rvo_charge_points_per_vehicle as decimal(12, 6)
        ) as difference_from_rvo,
        'rvo' as origin
    from joined
)

select * from final
order by month, municipality_code, vehicle_base
