import { describe, expect, it } from 'vitest';
import { ago, bytes, count, dateTime, duration, list, percent, plural, rate, seconds, short, time } from './format';

/** spaced has plain spaces for those that do not break a line. */
const spaced = (text: string) => text.replaceAll('\u00a0', ' ');

describe('format', () => {
  it.each([
    [0, '0'], [12, '12 ns'], [1500, '1.5 µs'], [999_499, '999 µs'], [999_500, '1 ms'], [4_212_000, '4.21 ms'], [14_560_000, '14.6 ms'],
    [145_600_000, '146 ms'], [999_500_000, '1 s'], [1_454_000_000, '1.45 s'], [59_949_000_000, '59.9 s'], [59_960_000_000, '1m'],
    [185e9, '3m 05s'], [7800e9, '2h 10m'], [7200e9, '2h'], [86400e9 * 3 + 4 * 3600e9, '3d 4h'], [-1500, '-1.5 µs'],
    [undefined, '–'], [NaN, '–'],
  ])('duration %s is %s', (ns, text) => expect(spaced(duration(ns))).toBe(text));

  it.each([[0, '0/s'], [0.001, '<0.01/s'], [0.033, '0.03/s'], [20.004, '20/s'], [1234.5, '1,235/s'], [99.96, '100/s']])('rate %s is %s', (n, text) => expect(rate(n)).toBe(text));

  it.each([
    [0, '0 %'], [1, '100 %'], [0.00001, '<0.01 %'], [0.999999, '>99.99 %'], [0.9995, '99.95 %'], [0.0123, '1.2 %'], [0.0923, '9.2 %'], [0.27, '27 %'],
    [0.0031, '0.31 %'], [0.996, '99.6 %'],
  ])('percent %s is %s', (part, text) => expect(spaced(percent(part))).toBe(text));

  it('keeps a unit with its number', () => expect(duration(4e6) + percent(0.5)).not.toContain(' '));

  it('counts', () => {
    expect(count(0)).toBe('0');
    expect(count(1234567)).toBe('1,234,567');
    expect(short(1234)).toBe('1.23k');
    expect(short(999.6)).toBe('1k');
    expect(plural(1, 'proxy', 'proxies')).toBe('1 proxy');
    expect(plural(2000, 'request')).toBe('2,000 requests');
    expect(list(['a', 'b', 'c'])).toBe('a, b and c');
    expect(list(['a'])).toBe('a');
    expect(spaced(bytes(840))).toBe('840 B');
    expect(spaced(bytes(1234))).toBe('1.23 kB');
  });

  it('writes times in UTC', () => {
    expect(time('2026-11-30T10:31:05.123456789Z')).toBe('10:31:05');
    expect(time('2026-11-30T10:31:05.123456789Z', true)).toBe('10:31:05.123');
    expect(time('2026-11-30T11:31:05+01:00')).toBe('10:31:05');
    expect(dateTime('2026-11-30T10:31:05Z')).toBe('2026-11-30 10:31:05 UTC');
    expect(time('')).toBe('–');
    expect(time('0001-01-01T00:00:00Z')).toBe('–');
    expect(ago('2026-11-30T10:31:05Z', Date.parse('2026-11-30T10:32:07Z'))).toBe('1m 02s ago');
    expect(ago('2026-11-30T10:31:05Z', Date.parse('2026-11-30T10:31:05Z'))).toBe('just now');
  });

  it.each([['10m', 600], ['1h30m', 5400], ['250ms', 0.25], ['1.5s', 1.5], ['10', undefined], ['', undefined], ['m', undefined]])('reads %s', (text, n) => expect(seconds(text)).toBe(n));
});
