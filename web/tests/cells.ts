// The equations of the built-in cells and of one that a user wrote, as the page receives them.
import generated from '../engine/generated/cells.json'
import type { Expression } from '../src/data/expression'

interface Equation {
  name: string
  expression: Expression
}

type Line = [string, ...(string | number)[]]

/** Return the equations of a tape. A formula stops at signals, as in src/gatescope/equations/formulas.py. */
function equationsOf(
  { nodes, signals: lines }: { nodes: Line[]; signals: Record<string, number> },
  order: string[],
): Equation[] {
  const stops = new Map(order.toReversed().map((name) => [lines[name]!, name]))
  const nested = (line: number, inside: string): Expression => {
    const stop = stops.get(line)
    if (stop !== undefined && stop !== inside) return { signal: stop }
    const [kind, ...rest] = nodes[line]!
    if (kind === 'parameter') return { parameter: `p.${rest[0]}` }
    if (['drive', 'state', 'constant'].includes(kind)) return { [kind]: rest[0] } as never
    return { operation: kind, arguments: rest.map((argument) => nested(argument as number, '')) }
  }
  return order.map((name) => ({ name, expression: nested(lines[name]!, name) }))
}

const BUILTIN = Object.fromEntries(
  (generated as { name: string; signals: string[]; tape: string }[]).map(({ name, signals, tape }) => [
    name,
    equationsOf(JSON.parse(tape), signals),
  ]),
)

/** A cell of one's own: two names of one value, and a fraction. */
const OWN = equationsOf(
  {
    nodes: [
      ['drive', 'x.a'],
      ['drive', 'u.a'],
      ['add', 0, 1],
      ['tanh', 2],
      ['state', 'h'],
      ['negate', 4],
      ['exp', 5],
      ['constant', 2],
      ['add', 6, 7],
      ['divide', 3, 8],
    ],
    signals: { a: 3, b: 3, h: 9 },
  },
  ['a', 'b', 'h'],
)

export const CELLS: Record<string, Equation[]> = { ...BUILTIN, own: OWN }
