-- pg_net: the HTTP client; its own objects are in the schema net.
-- requires: 0001
-- The extension itself goes to the schema extensions where the platform has one: linters warn about extensions in public.
do $$
begin
    if to_regnamespace('extensions') is not null then
        create extension if not exists pg_net with schema extensions;
    else
        create extension if not exists pg_net with schema public;
    end if;
end
$$;
