// The platform's own error answers.

/** Return an answer of the platform itself, which names its cause in the `sb-error-code` header. */
export function platformError(status: number, code: string, message: string): Response {
  return Response.json({ code, message }, { status, headers: { "sb-error-code": code } });
}
