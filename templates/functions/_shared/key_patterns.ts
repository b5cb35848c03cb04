// Written by .ci/generate.py from the patterns in autosync_db/supabase/key.py.

/** Finds everything that looks like a key, public ones too. */
export const KEYS = new RegExp(
  [
    String.raw`eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]+)*`,
    String.raw`sb_secret_[A-Za-z0-9_-]{8,}`,
    String.raw`sbp_(?:v0_|oauth_)?[0-9a-f]{40}`,
    String.raw`sb_publishable_[A-Za-z0-9_-]{8,}`,
  ].join("|"),
  "g",
);
