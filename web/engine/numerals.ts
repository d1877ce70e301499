// Numbers in texts: read as Python's float reads them, and written with the fewest digits that identify a float32.
import { positional } from './python-format'
import { SPACE } from './splitting'

const MAX_DIGITS = 9 // identify every float32
const EXACT_DIGITS = 60 // beyond every tie at nine digits
const LARGEST = Math.fround(3.4028234663852886e38)
const DIGITS = '\\d+(?:_\\d+)*'
const NUMBER = new RegExp(`^[+-]?(?:${DIGITS}(?:\\.(?:${DIGITS})?)?|\\.${DIGITS})(?:[eE][+-]?${DIGITS})?$`)
const SEPARATOR = new RegExp(`[,;${SPACE}]+`, 'u')
const LINE_END = /\r\n|[\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]/
const ONLY_SPACE = new RegExp(`^[${SPACE}]*$`, 'u')

/** Cut a text into lines as Python's str.splitlines does. */
export function splitLines(text: string): string[] {
  const lines = text.split(LINE_END)
  if (lines.at(-1) === '') lines.pop()
  return lines
}

/** Return the numbers of a line; none for an empty line, and null if it has anything else. */
export function readLine(line: string): number[] | null {
  if (ONLY_SPACE.test(line)) return []
  const fields = line.split(SEPARATOR).filter((field) => field)
  const values = fields.map((field) => (NUMBER.test(field) ? Number(field.replaceAll('_', '')) : NaN))
  return values.length && values.every((value) => Math.abs(value) <= LARGEST) ? values : null
}

/** Return a float32 with the fewest digits that identify it, as Python writes NumPy's digits. */
export function numberLabel(value: number): string {
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  const size = Math.abs(value)
  if (size === 0) return `${sign}0.0`
  let written = ''
  for (let digits = 1; digits <= MAX_DIGITS; digits++) {
    const near = nearest(size, digits)
    // Above a power of two, float32 numbers are further apart than below: the number above may be read as this one.
    const above = (Number(near) + 10 ** (Number(near.split('e')[1]) + 1 - digits)).toExponential(digits - 1)
    written = Math.fround(Number(near)) === size ? near : above
    if (Math.fround(Number(written)) === size) break
  }
  const [mantissa = '', power = ''] = written.split('e')
  return sign + positional(mantissa.replace('.', '').replace(/0+$/, ''), Number(power), 16)
}

/** Return a number with a number of digits; of two that are equally near, the one with the even last digit. */
function nearest(size: number, digits: number): string {
  const written = size.toExponential(digits - 1)
  // JavaScript takes the larger one.
  const [mantissa = '', power = ''] = written.split('e')
  const rest = size.toExponential(EXACT_DIGITS).replace('.', '').slice(digits).split('e')[0]!
  const isTie = /^50*$/.test(rest) && Number(mantissa.at(-1)) % 2 === 1
  return isTie ? `${mantissa.slice(0, -1)}${Number(mantissa.at(-1)) - 1}e${power}` : written
}
