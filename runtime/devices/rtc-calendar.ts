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

/**
 * Days from 1970-01-01 in the Gregorian calendar. Years begin in March, so that the leap day is the last, and 153 days are five months
 * of 31, 30, 31, 30, 31; 400 years are 146,097 days.
 */
function daysFromDate(year: number, month: number, day: number): number {
  const months = year * 12 + month - 3;
  const marchYear = Math.floor(months / 12);
  const monthDays = Math.floor((153 * (months - marchYear * 12) + 2) / 5);
  const leapDays = Math.floor(marchYear / 4) - Math.floor(marchYear / 100) + Math.floor(marchYear / 400);
  return marchYear * 365 + leapDays + monthDays + day - 1 - marchEpoch;
}

/** 0000-03-01 to 1970-01-01. */
const marchEpoch = 719_468;
const daysPer400Years = 146_097;

function dateFromDays(days: number): { year: number; month: number; day: number } {
  const shifted = days + marchEpoch;
  const era = Math.floor(shifted / daysPer400Years);
  const dayOfEra = shifted - era * daysPer400Years;
  // Leap days before: one in 4 years of 1461 days, none in a century, one again in the fourth.
  const yearOfEra = Math.floor((dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36524) - Math.floor(dayOfEra / 146_096)) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  return { year: era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, day: dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1 };
}

/** The registers as the chip shows them at a time. */
export function timeToRegisters(time: number, format: RegisterFormat): TimeRegisters {
  const seconds = Math.floor(time / 1000);
  const days = Math.floor(seconds / secondsPerDay);
  const secondOfDay = seconds - days * secondsPerDay;
  const { year, month, day } = dateFromDays(days);
  const century = Math.floor(year / 100);
  return {
    seconds: encodeNumber(secondOfDay % 60, format),
    minutes: encodeNumber(Math.floor(secondOfDay / 60) % 60, format),
    hours: encodeHours(Math.floor(secondOfDay / 3600), format),
    // 1970-01-01 was a Thursday, day 5.
    weekday: encodeNumber(((((days + 4) % 7) + 7) % 7) + 1, format),
    day: encodeNumber(day, format),
    month: encodeNumber(month, format),
    year: encodeNumber(year - century * 100, format),
    century: encodeNumber(century, format),
  };
}

/** The time registers stand for, on a whole second. Values out of range carry over, as in 31 February. */
export function registersToTime(registers: TimeRegisters, format: RegisterFormat): number {
  const number = (field: TimeField) => decodeNumber(registers[field], format);
  const days = daysFromDate(number("century") * 100 + number("year"), number("month"), number("day"));
  const secondOfDay = decodeHours(registers.hours, format) * 3600 + number("minutes") * 60 + number("seconds");
  return (days * secondsPerDay + secondOfDay) * 1000;
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
