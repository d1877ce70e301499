// Texts and numbers as Python writes and orders them.

/** Return a text as Python writes it in JSON: ASCII only. */
export function quoted(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Return a number as Python's repr of a float: the same digits as here, with an exponent below -4 and from 16 on. */
export function pythonFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value < 0 ? '-inf' : 'inf'
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  const [mantissa = '', power = ''] = Math.abs(value).toExponential().split('e')
  return sign + positional(mantissa.replace('.', ''), Number(power), 16)
}

/** Return digits and a decimal exponent as Python writes them; from `limit` on and below -4 with an exponent. */
export function positional(digits: string, exponent: number, limit: number): string {
  if (exponent < -4 || exponent >= limit) {
    const sign = exponent < 0 ? '-' : '+'
    const rest = digits.length > 1 ? `.${digits.slice(1)}` : ''
    return `${digits[0]}${rest}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`
  }
  if (exponent < 0) return `0.${'0'.repeat(-exponent - 1)}${digits}`
  const padded = digits.padEnd(exponent + 1, '0')
  return `${padded.slice(0, exponent + 1)}.${padded.slice(exponent + 1) || '0'}`
}

/** Return a number as Python's format(value, ".{digits}g") writes it. */
export function pythonGeneral(value: number, digits: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value < 0 ? '-inf' : 'inf'
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  const [mantissa = '', power = ''] = Math.abs(value)
    .toExponential(digits - 1)
    .split('e')
  const written = positional(mantissa.replace('.', '').replace(/0+$/, '') || '0', Number(power), digits)
  return sign + written.replace(/\.0$/, '')
}

/** Order texts as Python does, by code points. */
export function byCodePoint(a: string, b: string): number {
  const [first, second] = [Array.from(a), Array.from(b)]
  for (let k = 0; k < Math.min(first.length, second.length); k++) {
    const difference = first[k]!.codePointAt(0)! - second[k]!.codePointAt(0)!
    if (difference) return difference
  }
  return first.length - second.length
}
