// Numbers in texts: read as Python's float reads them, and written with the fewest digits that identify a float32.
import { positional } from './python-format'
import { SPACE } from './splitting'

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

/** Return a float32 with the fewest digits that identify it, as NumPy writes it. */
export function numberLabel(value: number): string {
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  const size = Math.abs(value)
  if (size === 0) return `${sign}0.0`
  for (let digits = 1; ; digits++) {
    const written = size.toExponential(digits - 1)
    if (Math.fround(Number(written)) !== size && digits < 9) continue
    const [mantissa = '', power = ''] = written.split('e')
    const exponent = Number(power)
    const plain = mantissa.replace('.', '').replace(/0+$/, '')
    return sign + positional(plain, exponent, 16)
  }
}
