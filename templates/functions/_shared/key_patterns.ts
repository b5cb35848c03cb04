// Written by .ci/generate.py from the patterns in autosync_db/supabase/key.py and password.py.
// deno-fmt-ignore-file: the patterns are as long as they are

const KEYS = new RegExp(
  [
    String.raw`eyJ[A-Za-z0-9_-]{10,255}\.[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]+)*`,
    String.raw`sb_secret_[A-Za-z0-9_-]{8,}`,
    String.raw`sbp_(?:v0_|oauth_)?[0-9a-f]{40}`,
    String.raw`sb_publishable_[A-Za-z0-9_-]{8,}`,
  ].join("|"),
  "g",
);

// before a password, itself and behind it
const PASSWORDS = [
  String.raw`(://[^\t-\r :/@'\"\u0060]*:(?![0-9]{1,5}[/?#,]))((?=[^\t-\r ]{1,255}@)(?:[^\t-\r '\"\u0060]|['\"\u0060]+[0-9A-Za-z])[^\t-\r '\"\u0060]*(?:['\"\u0060]+[0-9A-Za-z][^\t-\r '\"\u0060]*)*)(@)`,
  String.raw`([?&]password=)([^\t-\r '\"\u0060&#]+)()`,
  String.raw`((?:[Hh]ost(?:addr)?|dbname)[ \t]*=[ \t]*(?=[^\t-\r ]{1,255}[\t-\r ])(?:''[^'\n]*''|'(?:[^'\\\n]|\\[^\n])*'|(?:[^\t-\r '\"\u0060]*[^\t-\r '\"\u0060,;]))(?:[ \t]+[A-Za-z_]+[ \t]*=[ \t]*(?=[^\t-\r ]{1,255}[\t-\r ])(?:''[^'\n]*''|'(?:[^'\\\n]|\\[^\n])*'|(?:[^\t-\r '\"\u0060]*[^\t-\r '\"\u0060,;]))){0,9}[ \t]+[Pp]assword[ \t]*=[ \t]*)((?:''[^'\n]*''|'(?:[^'\\\n]|\\[^\n])*'|[^\t-\r '\"\u0060]*[^\t-\r '\"\u0060,;]))()`,
  String.raw`([Pp]assword[ \t]*=[ \t]*)((?=[^\t-\r ]{1,255}[\t-\r ])(?:''[^'\n]*''|'(?:[^'\\\n]|\\[^\n])*'|(?:[^\t-\r '\"\u0060]*[^\t-\r '\"\u0060,;])))((?:[ \t]+[A-Za-z_]+[ \t]*=[ \t]*(?=[^\t-\r ]{1,255}[\t-\r ])(?:''[^'\n]*''|'(?:[^'\\\n]|\\[^\n])*'|(?:[^\t-\r '\"\u0060]*[^\t-\r '\"\u0060,;]))){0,9}[ \t]+(?:[Hh]ost(?:addr)?|dbname)[ \t]*=[ \t]*(?:''[^'\n]*''|'(?:[^'\\\n]|\\[^\n])*'|[^\t-\r '\"\u0060]*[^\t-\r '\"\u0060,;]))`,
].map((pattern) => new RegExp(pattern, "g"));

/** Return `text` without what looks like a key, public ones too, or like the password of an address. */
export function withoutSecrets(text: string): string {
  return PASSWORDS.reduce(
    (masked, pattern) => masked.replace(pattern, "$1***$3"),
    text.replace(KEYS, "***"),
  );
}
