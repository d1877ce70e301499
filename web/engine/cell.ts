// A cell: the equations of one step as a tape, read from JSON and checked line by line.
import { EngineError, shown } from './errors'
import { OPERATIONS } from './operations'
import { byCodePoint, pythonFloat, quoted } from './python-format'

export type Leaf = 'drive' | 'parameter' | 'state' | 'constant'

/** One line of a tape: an operation on earlier lines, or a leaf with its name or number. */
export interface Node {
  kind: string
  arguments: readonly number[]
  label: string | number
}

export interface Cell {
  name: string
  title: string
  /** The tape as canonical JSON, by which a built-in cell is recognised. */
  key: string
  nodes: readonly Node[]
  /** Name of a signal -> its line, in the order of computation. */
  signals: ReadonlyMap<string, number>
  /** Line -> name of its signal; the first name, if a line has two. */
  stops: ReadonlyMap<number, string>
  /** Names k of x.k, of u.k and of p.k, in the order of first use. */
  inputDrives: readonly string[]
  recurrentDrives: readonly string[]
  parameters: readonly string[]
  /** The signals that the next step reads. */
  states: readonly string[]
  /** "x.k" then "u.k". */
  drives: readonly string[]
  /** Input drive k -> initial value of b.k; 0 for all others. */
  biases: ReadonlyMap<string, number>
}

const MAX_NODES = 1000
const MAX_CONSTANT = 1e300
export const MAX_FORMULA_TERMS = 200
const MAX_NAME_CHARACTERS = 100
const LEAVES = ['drive', 'parameter', 'state']
const IDENTIFIER = /^[\p{XID_Start}_]\p{XID_Continue}*$/u

type Json = Record<string, unknown>

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

const isLine = (value: unknown, length: number): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < length

/** Return the cell in a JSON value. Throws an EngineError if the value does not describe one. */
export function readCell(data: unknown): Cell {
  if (!isObject(data) || !['name', 'title', 'paper'].every((key) => typeof data[key] === 'string'))
    throw new EngineError('CELL_INVALID', { cell: shown(data) })
  const name = shown(data['name'])
  const tape = data['tape']
  if (!isObject(tape) || !Array.isArray(tape['nodes']) || !isObject(tape['signals']))
    throw new EngineError('TAPE_INVALID', { cell: name })
  if (tape['nodes'].length > MAX_NODES)
    throw new EngineError('TAPE_TOO_LONG', { cell: name, lines: tape['nodes'].length, most: MAX_NODES })
  const nodes = tape['nodes'].map((line, number) => readNode(line, number, name))
  const lines = Object.entries(tape['signals'])
  const wrong = lines.find(([, line]) => !isLine(line, nodes.length))
  if (wrong) throw new EngineError('TAPE_SIGNAL_INVALID', { cell: name, signal: shown(wrong[0]) })
  const signals = new Map(lines as [string, number][])
  checkNames(nodes, signals, name)
  const stops = new Map([...signals].reverse().map(([signal, line]) => [line, signal]))
  checkFormulas(nodes, signals, stops, name)
  const labels = (kind: string, prefix = ''): string[] =>
    nodes
      .filter((node) => node.kind === kind && String(node.label).startsWith(prefix))
      .map((node) => String(node.label).slice(prefix.length))
  const [inputDrives, recurrentDrives] = [labels('drive', 'x.'), labels('drive', 'u.')]
  const used = new Set([...labels('state'), ...(recurrentDrives.length ? ['h'] : [])])
  return {
    name: data['name'] as string,
    title: data['title'] as string,
    key: canonicalJson(nodes, signals),
    nodes,
    signals,
    stops,
    inputDrives,
    recurrentDrives,
    parameters: labels('parameter'),
    states: [...signals.keys()].filter((signal) => used.has(signal)),
    drives: [...inputDrives.map((k) => `x.${k}`), ...recurrentDrives.map((k) => `u.${k}`)],
    biases: readBiases(data['biases'] ?? {}, inputDrives, name),
  }
}

function readBiases(data: unknown, inputDrives: readonly string[], cell: string): Map<string, number> {
  const entries = isObject(data) ? Object.entries(data) : null
  const wrong = entries?.some(([drive, value]) => !Number.isFinite(value) || !inputDrives.includes(drive))
  if (!entries || wrong) throw new EngineError('CELL_BIASES_INVALID', { cell, biases: shown(data) })
  return new Map(entries as [string, number][])
}

function readNode(line: unknown, number: number, cell: string): Node {
  const [kind, ...rest] = Array.isArray(line) ? (line as unknown[]) : []
  if (typeof kind === 'string') {
    const operation = OPERATIONS.get(kind)
    if (operation && rest.length === operation.arity && rest.every((argument) => isLine(argument, number)))
      return { kind, arguments: rest as number[], label: '' }
    const [label] = rest
    if (rest.length === 1 && kind === 'constant' && typeof label === 'number' && Math.abs(label) <= MAX_CONSTANT)
      return { kind, arguments: [], label }
    if (rest.length === 1 && LEAVES.includes(kind) && typeof label === 'string') return { kind, arguments: [], label }
  }
  throw new EngineError('TAPE_LINE_INVALID', { cell, number, line: shown(line) })
}

/** Refuse names that cannot be axis labels, repeated quantities, and states that are no signals. */
function checkNames(nodes: readonly Node[], signals: ReadonlyMap<string, number>, cell: string): void {
  const seen = new Set<string>()
  const stems = [...signals.keys()]
  for (const { kind, label } of nodes) {
    if (!LEAVES.includes(kind)) continue
    const name = String(label)
    if (kind === 'drive' && !/^[xu]\./.test(name))
      throw new EngineError('CELL_NAME_INVALID', { cell, name: shown(name) })
    stems.push(kind === 'drive' ? name.slice(2) : name)
    if (seen.has(`${kind} ${name}`)) throw new EngineError('CELL_NAME_REPEATED', { cell, name: shown(name) })
    seen.add(`${kind} ${name}`)
    if (kind === 'state' && !signals.has(name)) throw new EngineError('CELL_STATE_NOT_RETURNED', { cell, state: name })
  }
  const wrong = stems.find((name) => name.length > MAX_NAME_CHARACTERS || !IDENTIFIER.test(name))
  if (wrong !== undefined) throw new EngineError('CELL_NAME_INVALID', { cell, name: shown(wrong) })
  if (!signals.has('h')) throw new EngineError('CELL_HIDDEN_MISSING', { cell })
}

/** Refuse signals that are constants, and formulas whose written form, which shares nothing, would be huge. */
function checkFormulas(
  nodes: readonly Node[],
  signals: ReadonlyMap<string, number>,
  stops: ReadonlyMap<number, string>,
  cell: string,
): void {
  const constant: boolean[] = []
  const terms: number[] = []
  for (const node of nodes) {
    constant.push(node.kind === 'constant' || (node.arguments.length > 0 && node.arguments.every((k) => constant[k])))
    terms.push(node.arguments.reduce((sum, k) => sum + (stops.has(k) ? 1 : terms[k]!), 1))
  }
  for (const [signal, line] of signals) {
    if (constant[line]) throw new EngineError('CELL_SIGNAL_CONSTANT', { cell, signal })
    if (terms[line]! > MAX_FORMULA_TERMS)
      throw new EngineError('CELL_SIGNAL_TOO_LONG', { cell, signal, most: MAX_FORMULA_TERMS })
  }
}

/** Return the tape as Python's json.dumps writes it with sorted keys and without spaces. */
function canonicalJson(nodes: readonly Node[], signals: ReadonlyMap<string, number>): string {
  const lines = nodes.map(({ kind, arguments: operands, label }) => {
    const rest = operands.length ? operands : [typeof label === 'number' ? pythonFloat(label) : quoted(label)]
    return `[${[quoted(kind), ...rest].join(',')}]`
  })
  const names = [...signals].sort(([a], [b]) => byCodePoint(a, b)).map(([name, line]) => `${quoted(name)}:${line}`)
  return `{"nodes":[${lines.join(',')}],"signals":{${names.join(',')}}}`
}
