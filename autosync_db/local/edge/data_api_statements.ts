// The statements of the Data API. Names are quoted by the driver and have been found in the catalogue before, types come
// from the catalogue, and everything a caller wrote travels as a parameter.

import type postgres from "postgres";
import type { FunctionShape, TableShape, Transaction, Typed } from "./data_api_catalogue.ts";
import { ApiError } from "./data_api_errors.ts";
import { type Condition, filtersOf, numberOf, orderOf, selectedOf } from "./data_api_filters.ts";

type Fragment = postgres.PendingQuery<postgres.Row[]>;
type Json = Record<string, unknown>;

/** Call a function with named arguments; the answer is JSON, or null for a function that returns nothing. */
export async function callFunction(tx: Transaction, fn: FunctionShape, args: Json): Promise<string | null> {
  const from = fn.args.length === 0 ? tx`` : tx`
    pg_catalog.json_to_record(${JSON.stringify(args)}::text::json)
      as given(${joined(tx, fn.args.map((arg) => tx`${tx(arg.name)} ${trusted(tx, arg.type)}`))}),
    lateral`;
  const call = tx`public.${tx(fn.name)}(${
    joined(tx, fn.args.map((arg) => tx`${tx(arg.name)} => given.${tx(arg.name)}`))
  })`;
  const value = fn.set ? tx`coalesce(pg_catalog.json_agg(result), '[]')` : tx`pg_catalog.to_json(result)`;
  const [row] = await tx<
    { json: string | null }[]
  >`select ${value}::text as json from ${from} ${call} as result`;
  return fn.returnsNothing ? null : row?.json ?? "null";
}

/** Read rows as a JSON array. */
export async function readRows(tx: Transaction, table: TableShape, query: URLSearchParams): Promise<string> {
  const order = orderOf(query).map((term) =>
    tx`${tx(columnOf(table, term.column).name)} ${term.descending ? tx`desc` : tx`asc`} ${
      term.nullsFirst ? tx`nulls first` : tx`nulls last`
    }`
  );
  const limit = numberOf(query, "limit");
  const offset = numberOf(query, "offset");
  return await rowsOf(
    tx,
    tx`select ${selection(tx, table, query)} from public.${tx(table.name)} as t ${
      conditions(tx, table, query)
    }
       ${order.length === 0 ? tx`` : tx`order by ${joined(tx, order)}`}
       ${limit === null ? tx`` : tx`limit ${String(limit)}::text::bigint`}
       ${offset === null ? tx`` : tx`offset ${String(offset)}::text::bigint`}`,
  );
}

/** Insert one row or several; the inserted rows as a JSON array if they are `wanted`, else null. */
export async function insertRows(
  tx: Transaction,
  table: TableShape,
  query: URLSearchParams,
  body: Json | Json[],
  wanted: boolean,
): Promise<string | null> {
  const rows = Array.isArray(body) ? body : [body];
  const columns = bodyColumns(table, [...new Set(rows.flatMap((row) => Object.keys(row)))]);
  if (rows.length === 0) {
    return wanted ? "[]" : null;
  }
  const source = tx`pg_catalog.json_populate_recordset(null::public.${tx(table.name)}, ${
    JSON.stringify(rows)
  }::text::json) as given`;
  const list = joined(tx, columns.map((column) => tx`${tx(column)}`));
  const insert = columns.length === 0
    ? tx`insert into public.${tx(table.name)} as t default values`
    : tx`insert into public.${tx(table.name)} as t (${list}) select ${list} from ${source}`;
  return await changed(tx, table, query, insert, wanted);
}

/** Change the rows that the filters choose; the changed rows as a JSON array if they are `wanted`, else null. */
export async function changeRows(
  tx: Transaction,
  table: TableShape,
  query: URLSearchParams,
  body: Json,
  wanted: boolean,
): Promise<string | null> {
  const columns = bodyColumns(table, Object.keys(body));
  if (columns.length === 0) {
    return wanted ? "[]" : null;
  }
  const assignments = columns.map((column) => tx`${tx(column)} = given.${tx(column)}`);
  const update = tx`
    update public.${tx(table.name)} as t set ${joined(tx, assignments)}
    from pg_catalog.json_populate_record(null::public.${tx(table.name)}, ${
    JSON.stringify(body)
  }::text::json) as given
    ${conditions(tx, table, query)}`;
  return await changed(tx, table, query, update, wanted);
}

/** Delete the rows that the filters choose; the deleted rows as a JSON array if they are `wanted`, else null. */
export async function removeRows(
  tx: Transaction,
  table: TableShape,
  query: URLSearchParams,
  wanted: boolean,
): Promise<string | null> {
  const remove = tx`delete from public.${tx(table.name)} as t ${conditions(tx, table, query)}`;
  return await changed(tx, table, query, remove, wanted);
}

async function changed(
  tx: Transaction,
  table: TableShape,
  query: URLSearchParams,
  statement: Fragment,
  wanted: boolean,
): Promise<string | null> {
  if (!wanted) {
    await tx`${statement}`;
    return null;
  }
  return await rowsOf(tx, tx`${statement} returning ${selection(tx, table, query)}`);
}

async function rowsOf(tx: Transaction, statement: Fragment): Promise<string> {
  const [row] = await tx<{ json: string }[]>`
    with rows as (${statement}) select coalesce(pg_catalog.json_agg(rows), '[]')::text as json from rows`;
  return row!.json;
}

function selection(tx: Transaction, table: TableShape, query: URLSearchParams): Fragment {
  return joined(
    tx,
    selectedOf(query).map(({ column, alias }) =>
      column === null
        ? tx`t.*`
        : tx`t.${tx(columnOf(table, column).name)} as ${tx(alias.replaceAll(".", "_"))}`
    ),
  );
}

function conditions(tx: Transaction, table: TableShape, query: URLSearchParams): Fragment {
  const groups = filtersOf(query).map((alternatives) =>
    tx`(${
      alternatives.map((one) => conditionSql(tx, table, one)).reduce((all, one) => tx`${all} or ${one}`)
    })`
  );
  return groups.length === 0 ? tx`` : tx`where ${groups.reduce((all, one) => tx`${all} and ${one}`)}`;
}

function conditionSql(tx: Transaction, table: TableShape, condition: Condition): Fragment {
  const column = columnOf(table, condition.column);
  const name = tx`t.${tx(column.name)}`;
  // Cast from text: left to guess, the driver would turn 'true' into false and cut microseconds off.
  const values = condition.values.map((value) => tx`${value}::text::${trusted(tx, column.type)}`);
  const text = tx`${(condition.values[0] ?? "").replaceAll("*", "%")}::text`;
  const [value] = values as [Fragment];
  const sql = {
    eq: () => tx`${name} = ${value}`,
    neq: () => tx`${name} <> ${value}`,
    gt: () => tx`${name} > ${value}`,
    gte: () => tx`${name} >= ${value}`,
    lt: () => tx`${name} < ${value}`,
    lte: () => tx`${name} <= ${value}`,
    like: () => tx`${name}::text like ${text}`,
    ilike: () => tx`${name}::text ilike ${text}`,
    in: () => values.length === 0 ? tx`false` : tx`${name} in (${joined(tx, values)})`,
    is: () => {
      const literals: Record<string, Fragment> = {
        null: tx`null`,
        not_null: tx`not null`,
        true: tx`true`,
        false: tx`false`,
        unknown: tx`unknown`,
      };
      return tx`${name} is ${literals[condition.values[0]!.toLowerCase()]!}`;
    },
  }[condition.operator]();
  return condition.negated ? tx`not (${sql})` : sql;
}

function columnOf(table: TableShape, name: string): Typed {
  const column = table.columns.get(name);
  if (column === undefined) {
    throw new ApiError(400, "42703", `column ${table.name}.${name} does not exist`);
  }
  return column;
}

function bodyColumns(table: TableShape, names: string[]): string[] {
  for (const name of names) {
    if (!table.columns.has(name)) {
      throw new ApiError(
        400,
        "PGRST204",
        `Could not find the '${name}' column of '${table.name}' in the schema cache`,
      );
    }
  }
  return names;
}

function joined(tx: Transaction, parts: Fragment[]): Fragment {
  return parts.length === 0 ? tx`` : parts.reduce((all, one) => tx`${all}, ${one}`);
}

/** Put a type's name into a statement as it is: it came from format_type, which quotes what needs quoting. */
function trusted(tx: Transaction, type: string): Fragment {
  return tx.unsafe(type) as unknown as Fragment;
}
