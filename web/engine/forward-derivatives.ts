// The forward derivatives of a tape: each state's derivative by everything that enters one step, as data.
//
// A state enters a step at several *places*: each use of s.k in an equation, and each recurrent drive u.k = U_k · h₋₁. So
// the Jacobian of one step is a sum of simple terms, one for each place: diag(a) for a use, diag(b) · U_k for a drive.
// The places, their names and their order are those of src/gatescope/equations/forward_derivatives.py.
import { type Cell, MAX_FORMULA_TERMS, type Node } from './cell'
import { RULES } from './derivatives'
import { EngineError } from './errors'
import { formulaText, type Nested } from './formulas'
import { OPERATIONS } from './operations'
import { type Expression, Pool, type Slope } from './symbolic'

const MAX_NESTED_TERMS = 20_000
const MAX_TANGENTS = 1 << 18 // lines of a tape times places

/** A place where a quantity enters the equations. */
export interface Place {
  /** "state" is one use of s.k; "signal" is a state of this very step, changed where it is computed. */
  kind: 'state' | 'drive' | 'parameter' | 'signal'
  label: string
  /** Unique for its kind and label: "direct", "peephole f", "in f", "direct 2", "u.f", "p.f". */
  name: string
}

/** Return whether a state enters its own equation at this place. */
export const isDirect = ({ kind, name }: Place): boolean => kind === 'state' && name.split(' ')[0] === 'direct'

/** Where a derivative starts: a line; the position of the argument in it, for a use of a state; and the signal, for a
 * state that is itself returned as a signal. */
interface Seed {
  line: number
  position: number | null
  signal: string | null
}

/** The derivatives of every state by everything that enters a step. */
export class Forward {
  readonly #sizes: number[] = []

  constructor(
    /** The lines, in order of computation: operations, jumps, and the leaves, "signal" among them. */
    readonly nodes: readonly Node[],
    /** The states, and h. */
    readonly outputs: readonly string[],
    /** Output -> place -> line of its derivative. Derivatives that are always 0 are left out. */
    readonly slopes: ReadonlyMap<string, ReadonlyMap<Place, number>>,
  ) {
    for (const node of nodes) this.#sizes.push(node.arguments.reduce((sum, k) => sum + this.#sizes[k]!, 1))
  }

  /** Return the derivative as one line of text, as in `c₋₁ · f · (1 - f)`; "" if it is too long to read. */
  formula(output: string, place: Place): string {
    const line = this.slopes.get(output)!.get(place)!
    return this.#sizes[line]! <= MAX_FORMULA_TERMS ? formulaText(this.#nested(line)) : ''
  }

  /** Return the derivative as nested JSON. Throws an EngineError if it is too large, because it shares nothing. */
  expression(output: string, place: Place): Nested {
    const line = this.slopes.get(output)!.get(place)!
    if (this.#sizes[line]! > MAX_NESTED_TERMS)
      throw new EngineError('DERIVATIVE_TOO_LONG', { state: output, most: MAX_NESTED_TERMS })
    return this.#nested(line)
  }

  #nested(line: number): Nested {
    const { kind, arguments: operands, label } = this.nodes[line]!
    if (RULES.has(kind)) return { operation: kind, arguments: operands.map((k) => this.#nested(k)) }
    return { [kind]: kind === 'parameter' ? `p.${label}` : label }
  }

  /**
   * Return output -> place -> the values of the derivative, `size` numbers each.
   *
   * `read` returns the values of a leaf, given its kind and label.
   */
  evaluate(size: number, read: (kind: string, label: string) => Float64Array): Map<string, Map<Place, Float64Array>> {
    const values: Float64Array[] = []
    for (const { kind, arguments: operands, label } of this.nodes) {
      const rule = RULES.get(kind)
      if (!rule) {
        values.push(kind === 'constant' ? new Float64Array(size).fill(Number(label)) : read(kind, String(label)))
        continue
      }
      const [a, b] = [values[operands[0]!]!, values[operands[1] ?? operands[0]!]!]
      const out = new Float64Array(size)
      for (let k = 0; k < size; k++) out[k] = rule.apply(a[k]!, b[k]!)
      values.push(out)
    }
    return new Map(
      [...this.slopes].map(([output, row]) => [
        output,
        new Map([...row].map(([place, line]) => [place, values[line]!])),
      ]),
    )
  }
}

const derived = new WeakMap<Cell, Forward>()

/** Return the forward derivatives of one step of a network without interventions. */
export function forwardOf(cell: Cell): Forward {
  let forward = derived.get(cell)
  if (!forward) derived.set(cell, (forward = differentiate(cell)))
  return forward
}

/** Return the states, and h, whose derivatives are computed. */
const outputsOf = ({ states }: Cell): string[] => (states.includes('h') ? [...states] : [...states, 'h'])

function differentiate(cell: Cell): Forward {
  const outputs = outputsOf(cell)
  const seeds = placesOf(cell)
  if (seeds.size * cell.nodes.length > MAX_TANGENTS)
    throw new EngineError('CELL_DERIVATIVES_TOO_MANY', { cell: cell.name, places: seeds.size })
  const pool = new Pool()
  const values = readableValues(cell, pool)
  const slopes = new Map(outputs.map((output) => [output, new Map<Place, Expression>()]))
  for (const [place, seed] of seeds) {
    const tangents = tangentsOf(cell, pool, values, seed)
    for (const output of outputs) {
      const slope = tangents[cell.signals.get(output)!]!
      // A state under the name of another signal has a place of its own.
      const another = seed.position === null && seed.signal !== null && seed.signal !== output
      if (slope !== null && !another) slopes.get(output)!.set(place, pool.expression(slope))
    }
  }
  return toLines(pool, outputs, slopes)
}

/** Return the value of every line: a recorded signal, or computed again from signals and leaves. */
function readableValues({ nodes, stops }: Cell, pool: Pool): Expression[] {
  const values: Expression[] = []
  for (const [line, { kind, arguments: operands, label }] of nodes.entries()) {
    const signal = stops.get(line)
    if (signal !== undefined) values.push(pool.leaf('signal', signal))
    else if (OPERATIONS.has(kind)) values.push(pool.operation(kind, ...operands.map((k) => values[k]!)))
    else values.push(pool.leaf(kind, label))
  }
  return values
}

/** Return every place and where its derivative starts. */
function placesOf(cell: Cell): Map<Place, Seed> {
  const equationOf = equationsOf(cell)
  const seeds = new Map<Place, Seed>()
  const uses = new Map<string, number>()
  const addUse = (label: string, stem: string, seed: Seed): void => {
    const count = (uses.get(`${label} ${stem}`) ?? 0) + 1
    uses.set(`${label} ${stem}`, count)
    seeds.set({ kind: 'state', label, name: count > 1 ? `${stem} ${count}` : stem }, seed)
  }
  for (const [line, node] of cell.nodes.entries()) {
    const label = String(node.label)
    if (node.kind === 'drive' || node.kind === 'parameter') {
      const name = node.kind === 'drive' ? label : `p.${label}`
      seeds.set({ kind: node.kind, label, name }, { line, position: null, signal: null })
    }
    if (node.kind === 'state')
      for (const output of outputsOf(cell))
        if (cell.signals.get(output) === line)
          addUse(label, output === label ? 'direct' : `in ${output}`, { line, position: null, signal: output })
    for (const [position, argument] of node.arguments.entries()) {
      const equation = equationOf.get(line)
      const operand = cell.nodes[argument]!
      if (operand.kind === 'state' && equation !== undefined)
        addUse(String(operand.label), useName(cell, node, position, equation), { line, position, signal: null })
    }
  }
  for (const name of cell.states)
    seeds.set({ kind: 'signal', label: name, name }, { line: cell.signals.get(name)!, position: null, signal: null })
  return seeds
}

function useName({ nodes }: Cell, node: Node, position: number, equation: string): string {
  if (equation === nodes[node.arguments[position]!]!.label) return 'direct'
  const weighted = node.kind === 'multiply' && nodes[node.arguments[1 - position]!]!.kind === 'parameter'
  return `${weighted ? 'peephole' : 'in'} ${equation}`
}

/** Return line -> the first signal whose equation needs this line. */
function equationsOf({ nodes, signals }: Cell): Map<number, string> {
  const equationOf = new Map<number, string>()
  for (const [name, last] of signals) {
    const waiting = [last]
    for (let line = waiting.pop(); line !== undefined; line = waiting.pop()) {
      if (equationOf.has(line)) continue
      equationOf.set(line, name)
      waiting.push(...nodes[line]!.arguments)
    }
  }
  return equationOf
}

/** Return the derivative of every line by the quantity that enters at one place; null if it is 0. */
function tangentsOf(cell: Cell, pool: Pool, values: readonly Expression[], seed: Seed): (Slope | null)[] {
  const tangents: (Slope | null)[] = []
  for (const [line, node] of cell.nodes.entries()) {
    if (line === seed.line && seed.position === null) {
      tangents.push(1)
      continue
    }
    const [a, b] = [values[node.arguments[0] ?? 0]!, values[node.arguments[1] ?? 0]!]
    let total: Slope | null = null
    for (const [position, argument] of node.arguments.entries()) {
      const tangent = line === seed.line && position === seed.position ? 1 : tangents[argument]!
      if (tangent === null) continue
      const slope = RULES.get(node.kind)!.partials[position]!(pool, values[line]!, a, b)
      total = sum(pool, total, product(pool, tangent, slope))
    }
    tangents.push(total)
  }
  return tangents
}

const negated = (pool: Pool, value: Slope): Slope =>
  typeof value === 'number' ? -value : pool.operation('negate', value)

/** Return the product without factors of 1 and with the sign in front; null if it is 0. */
function product(pool: Pool, tangent: Slope, slope: Slope): Slope | null {
  const pairs = [
    [tangent, slope],
    [slope, tangent],
  ] as const
  for (const [factor, other] of pairs) {
    const number = typeof factor === 'number' ? factor : factor.kind === 'constant' ? factor.label : null
    if (number === 0) return null
    if (number === 1) return other
    if (number === -1) return negated(pool, other)
  }
  for (const [factor, other] of pairs)
    if (typeof factor !== 'number' && factor.kind === 'negate')
      return pool.operation('negate', pool.operation('multiply', other, factor.arguments[0]!))
  return pool.operation('multiply', slope, tangent)
}

/** Return the sum, where null is 0. */
function sum(pool: Pool, first: Slope | null, second: Slope | null): Slope | null {
  if (first === null || second === null) return first ?? second
  if (typeof first === 'number' && typeof second === 'number') return first + second
  if (typeof second !== 'number' && second.kind === 'negate')
    return pool.operation('subtract', first, second.arguments[0]!)
  return pool.operation('add', first, second)
}

/** Return the expressions that the derivatives need as lines. */
function toLines(pool: Pool, outputs: string[], slopes: Map<string, Map<Place, Expression>>): Forward {
  const needed = new Set([...slopes.values()].flatMap((row) => [...row.values()]))
  const all = [...pool.expressions]
  for (const expression of all.toReversed())
    if (needed.has(expression)) for (const operand of expression.arguments) needed.add(operand)
  const line = new Map<Expression, number>()
  const nodes: Node[] = []
  for (const expression of all) {
    if (!needed.has(expression)) continue
    line.set(expression, nodes.length)
    nodes.push({ ...expression, arguments: expression.arguments.map((operand) => line.get(operand)!) })
  }
  const lines = [...slopes].map(
    ([output, row]) => [output, new Map([...row].map(([place, slope]) => [place, line.get(slope)!]))] as const,
  )
  return new Forward(nodes, outputs, new Map(lines))
}
