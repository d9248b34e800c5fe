/** What people chose last time. Browsers may refuse to keep it. */
export interface Preferences {
  readonly sharp: boolean;
  readonly aspect: boolean;
}

const key = "xlat86";
const defaults: Preferences = { sharp: true, aspect: false };

export function loadPreferences(): Preferences {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(key) ?? "{}");
    return { ...defaults, ...(typeof stored === "object" ? stored : {}) };
  } catch {
    return defaults;
  }
}

export function savePreferences(preferences: Preferences): void {
  try {
    localStorage.setItem(key, JSON.stringify(preferences));
  } catch {
    // Then it is as it was the next time.
  }
}
