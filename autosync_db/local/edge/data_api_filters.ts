// The query string of the Data API: filters, order and limits, parsed into plain values. No SQL is made here.

import { ApiError } from "./data_api_errors.ts";

export type Operator = "eq" | "neq" | "gt" | "gte" | "lt" | "lte" | "like" | "ilike" | "is" | "in";

export interface Condition {
  column: string;
  negated: boolean;
  operator: Operator;
  /** One value, or for `in` any number of them. */
  values: string[];
}

/** All of the outer list must hold; of an inner list, one. */
export type Filters = Condition[][];

export interface Order {
  column: string;
  descending: boolean;
  nullsFirst: boolean;
}

export interface Selected {
  /** null stands for all columns. */
  column: string | null;
  alias: string;
}

const OPERATORS = ["eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "is", "in"];
const NOT_FILTERS = ["select", "order", "limit", "offset", "columns"];

/** Return the filters of a query string. Throws an ApiError for what the stand-in does not know. */
export function filtersOf(query: URLSearchParams): Filters {
  const filters: Filters = [];
  for (const [name, value] of query) {
    if (NOT_FILTERS.includes(name)) {
      continue;
    }
    if (name === "or") {
      const alternatives = splitOutside(/^\((.*)\)$/s.exec(value)?.[1] ?? refuse(`or=${value}`));
      filters.push(alternatives.map((one) => {
        const dot = one.indexOf(".");
        return dot > 0 ? condition(unquoted(one.slice(0, dot)), one.slice(dot + 1)) : refuse(`or=${value}`);
      }));
    } else if (name === "and" || name.startsWith("not.")) {
      refuse(`${name}=`);
    } else {
      filters.push([condition(name, value)]);
    }
  }
  return filters;
}

/** Return the columns of `select=`. */
export function selectedOf(query: URLSearchParams): Selected[] {
  return splitOutside(query.get("select") ?? "*").map((part) => {
    if (part.trim() === "*") {
      return { column: null, alias: "*" };
    }
    const found = /^(?:([^:()]+):)?([^:()]+)$/.exec(part.trim());
    if (found === null || part.includes("->")) {
      return refuse(`select=${part}`);
    }
    const column = unquoted(found[2]!);
    return { column, alias: found[1] === undefined ? column : unquoted(found[1]) };
  });
}

/** Return the terms of `order=`. */
export function orderOf(query: URLSearchParams): Order[] {
  return splitOutside(query.get("order") ?? "").map((term) => {
    const found = /^(.+?)(?:\.(asc|desc))?(?:\.(nullsfirst|nullslast))?$/.exec(term)!;
    const descending = found[2] === "desc";
    return {
      column: unquoted(found[1]!),
      descending,
      nullsFirst: found[3] === undefined ? descending : found[3] === "nullsfirst",
    };
  });
}

/** Return `limit=` or `offset=` as a number, null if absent. */
export function numberOf(query: URLSearchParams, name: "limit" | "offset"): number | null {
  const text = query.get(name);
  if (text === null) {
    return null;
  }
  return /^\d{1,15}$/.test(text) ? Number(text) : refuse(`${name}=${text}`);
}

function condition(column: string, text: string): Condition {
  const negated = text.startsWith("not.");
  const rest = negated ? text.slice("not.".length) : text;
  const dot = rest.indexOf(".");
  const operator = rest.slice(0, Math.max(dot, 0));
  const value = rest.slice(dot + 1);
  if (!OPERATORS.includes(operator) || column.includes("->")) {
    return refuse(`${column}=${text}`);
  }
  if (operator === "in") {
    const list = /^\((.*)\)$/s.exec(value)?.[1] ?? refuse(`${column}=${text}`);
    return { column, negated, operator, values: splitOutside(list).map(unquoted) };
  }
  if (operator === "is" && !["null", "not_null", "true", "false", "unknown"].includes(value.toLowerCase())) {
    return refuse(`${column}=${text}`);
  }
  return { column, negated, operator: operator as Operator, values: [value] };
}

function refuse(what: string): never {
  throw new ApiError(400, "PGRST100", `the local stand-in cannot parse or does not know: ${what}`);
}

/** Split at the commas that are neither inside parentheses nor inside double quotes. */
function splitOutside(text: string): string[] {
  const parts: string[] = [];
  let depth = 0, quoted = false, part = "";
  for (let index = 0; index < text.length; index++) {
    const character = text[index]!;
    if (quoted && character === "\\") {
      part += character + (text[++index] ?? "");
      continue;
    }
    if (character === '"') {
      quoted = !quoted;
    } else if (!quoted && character === "(") {
      depth++;
    } else if (!quoted && character === ")") {
      depth--;
    } else if (!quoted && depth === 0 && character === ",") {
      parts.push(part);
      part = "";
      continue;
    }
    part += character;
  }
  return text === "" ? [] : [...parts, part];
}

function unquoted(text: string): string {
  const inner = /^"(.*)"$/s.exec(text.trim())?.[1];
  return inner === undefined ? text : inner.replace(/\\(.)/gs, "$1");
}
