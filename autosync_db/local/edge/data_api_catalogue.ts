// What the database's catalogue says of the functions and tables in schema public that callers name.

import type postgres from "postgres";
import { ApiError } from "./data_api_errors.ts";

export type Transaction = postgres.TransactionSql;

/** A name and its type as SQL writes it; both come from the catalogue. */
export interface Typed {
  name: string;
  type: string;
}

export interface FunctionShape {
  name: string;
  args: Typed[];
  /** Returns rows, of which the answer is a list. */
  set: boolean;
  returnsNothing: boolean;
}

export interface TableShape {
  name: string;
  columns: Map<string, Typed>;
}

/** Return the function public.`name` that takes exactly the arguments `given`, or those and others with defaults. */
export async function describeFunction(
  tx: Transaction,
  name: string,
  given: string[],
): Promise<FunctionShape> {
  const rows = await tx<
    { names: string[] | null; types: string[]; optional: number; set: boolean; result: string }[]
  >`
    select p.proargnames[1:p.pronargs] as names,
           array(select pg_catalog.format_type(a.type, null)
                 from pg_catalog.unnest(p.proargtypes::oid[]) with ordinality as a(type, position)
                 order by a.position) as types,
           p.pronargdefaults::int as optional,
           p.proretset as set,
           pg_catalog.format_type(p.prorettype, null) as result
    from pg_catalog.pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.prokind = 'f' and p.proname = ${name}::text`;
  const fitting = rows.filter((row) => {
    const names = row.names ?? [];
    const required = names.slice(0, row.types.length - row.optional);
    return row.types.length === names.filter(Boolean).length && given.every((one) => names.includes(one)) &&
      required.every((one) => given.includes(one));
  });
  const signature = given.length === 0 ? "without parameters" : `(${given.toSorted().join(", ")})`;
  if (fitting.length === 0) {
    throw new ApiError(
      404,
      "PGRST202",
      `Could not find the function public.${name}${
        given.length === 0 ? " " : ""
      }${signature} in the schema cache`,
    );
  }
  if (fitting.length > 1) {
    throw new ApiError(300, "PGRST203", `Could not choose the best candidate function of public.${name}`);
  }
  const [row] = fitting as [typeof rows[number]];
  const typeOf = new Map(row.names?.map((one, position) => [one, row.types[position]!]));
  return {
    name,
    args: given.map((one) => ({ name: one, type: typeOf.get(one)! })),
    set: row.set,
    returnsNothing: row.result === "void",
  };
}

/** Return the columns of the table or view public.`name`. */
export async function describeTable(tx: Transaction, name: string): Promise<TableShape> {
  const columns = await tx<Typed[]>`
    select a.attname as name, pg_catalog.format_type(a.atttypid, a.atttypmod) as type
    from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
    where c.relnamespace = 'public'::regnamespace and c.relname = ${name}::text
      and c.relkind in ('r', 'p', 'v', 'm', 'f') and a.attnum > 0 and not a.attisdropped
    order by a.attnum`;
  if (columns.length === 0) {
    throw new ApiError(404, "PGRST205", `Could not find the table 'public.${name}' in the schema cache`);
  }
  return { name, columns: new Map(columns.map((column) => [column.name, { ...column }])) };
}
