/** Calendar arithmetic and register formats of the MC146818: binary or BCD, 12- or 24-hour. Times are UTC milliseconds since 1970. */

/** How register B tells the chip to show numbers. */
export type RegisterFormat = { readonly binary: boolean; readonly hours24: boolean };

const afternoon = 0x80;
/** Alarm registers with the two top bits set match any value. */
const anyValue = 0xc0;
const secondsPerDay = 86400;

export type TimeField = "seconds" | "minutes" | "hours" | "weekday" | "day" | "month" | "year" | "century";
export type TimeRegisters = { [field in TimeField]: number };

export function encodeNumber(value: number, format: RegisterFormat): number {
  return format.binary ? value & 0xff : (((Math.floor(value / 10) % 10) << 4) | (value % 10)) & 0xff;
}

export function decodeNumber(value: number, format: RegisterFormat): number {
  return format.binary ? value : (value >> 4) * 10 + (value & 15);
}

function encodeHours(hours: number, format: RegisterFormat): number {
  if (format.hours24) return encodeNumber(hours, format);
  return encodeNumber(hours % 12 === 0 ? 12 : hours % 12, format) | (hours >= 12 ? afternoon : 0);
}

function decodeHours(value: number, format: RegisterFormat): number {
  if (format.hours24) return decodeNumber(value, format);
  return (decodeNumber(value & ~afternoon, format) % 12) + ((value & afternoon) !== 0 ? 12 : 0);
}

/** The registers as the chip shows them at a time. */
export function timeToRegisters(time: number, format: RegisterFormat): TimeRegisters {
  const date = new Date(time);
  const year = date.getUTCFullYear();
  return {
    seconds: encodeNumber(date.getUTCSeconds(), format),
    minutes: encodeNumber(date.getUTCMinutes(), format),
    hours: encodeHours(date.getUTCHours(), format),
    weekday: encodeNumber(date.getUTCDay() + 1, format),
    day: encodeNumber(date.getUTCDate(), format),
    month: encodeNumber(date.getUTCMonth() + 1, format),
    year: encodeNumber(year % 100, format),
    century: encodeNumber(Math.floor(year / 100), format),
  };
}

/** The time registers stand for, on a whole second. Values out of range carry over, as in 31 February. */
export function registersToTime(registers: TimeRegisters, format: RegisterFormat): number {
  const number = (field: TimeField) => decodeNumber(registers[field], format);
  const date = new Date(0);
  date.setUTCFullYear(number("century") * 100 + number("year"), number("month") - 1, number("day"));
  date.setUTCHours(decodeHours(registers.hours, format), number("minutes"), number("seconds"));
  return date.getTime();
}

/** The three alarm registers. */
export type Alarm = { readonly seconds: number; readonly minutes: number; readonly hours: number };

/** The first second after `second` (both in seconds since 1970) that an alarm matches; Infinity if its registers hold no time of day. */
export function nextAlarm(second: number, alarm: Alarm, format: RegisterFormat): number {
  const candidates = (register: number, count: number, decoded: number): number[] => {
    if (register >= anyValue) return Array.from({ length: count }, (_, n) => n);
    return decoded < count ? [decoded] : [];
  };
  const hours = candidates(alarm.hours, 24, decodeHours(alarm.hours, format));
  const minutes = candidates(alarm.minutes, 60, decodeNumber(alarm.minutes, format));
  const seconds = candidates(alarm.seconds, 60, decodeNumber(alarm.seconds, format));
  const midnight = Math.floor(second / secondsPerDay) * secondsPerDay;
  const now = second - midnight;
  let first = Number.POSITIVE_INFINITY;
  for (const hour of hours) {
    for (const minute of minutes) {
      const start = hour * 3600 + minute * 60;
      for (const candidate of seconds) {
        const at = start + candidate;
        first = Math.min(first, at > now ? at : at + secondsPerDay);
        if (at > now) break;
      }
      if (start > now) break;
    }
  }
  return midnight + first;
}
