// Explanations for a reader of one blog post about LSTMs: what each kind of signal is, and one thing to try.
import type { Run, Signal, Unit } from '../data/run'
import { type Code, text } from '../messages/text'

const MEANINGS: Record<string, Code> = {
  SIGNAL_INPUT_GATE: 'SIGNAL_INPUT_GATE',
  SIGNAL_FORGET_GATE: 'SIGNAL_FORGET_GATE',
  SIGNAL_OUTPUT_GATE: 'SIGNAL_OUTPUT_GATE',
  SIGNAL_CANDIDATE: 'SIGNAL_CANDIDATE',
  SIGNAL_CELL_STATE: 'SIGNAL_CELL_STATE',
  SIGNAL_HIDDEN_STATE: 'SIGNAL_HIDDEN_STATE',
  SIGNAL_UPDATE_GATE: 'SIGNAL_UPDATE_GATE',
  SIGNAL_UPDATE_GATE_OTHER: 'SIGNAL_UPDATE_GATE_OTHER',
  SIGNAL_RESET_GATE: 'SIGNAL_RESET_GATE',
}

/** Return one sentence about a signal; empty if it is not one of the common ones. */
export function signalMeaning({ meaning }: Pick<Signal, 'meaning'>): string {
  const code = MEANINGS[meaning ?? '']
  return code ? text(code) : ''
}

const TASK_QUESTIONS: Record<string, Code> = {
  counter: 'TRY_COUNTER',
  selective_counter: 'TRY_SELECTIVE_COUNTER',
  state_memoriser: 'TRY_STATE_MEMORISER',
  copy: 'TRY_COPY',
  addition: 'TRY_ADDITION',
  sentiment: 'TRY_SENTIMENT',
  tagging: 'TRY_TAGGING',
  forecasting: 'TRY_FORECASTING',
  text: 'TRY_TEXT',
}

const UNIT_QUESTIONS: Record<Unit, Code> = {
  character: 'TRY_CHARACTER',
  byte: 'TRY_CHARACTER',
  word: 'TRY_WORD',
  token: 'TRY_TOKEN',
  number: 'TRY_NUMBER',
}

/** Return one thing to try with the network of a run. */
export function taskQuestion({ task: { name: task }, unit }: Pick<Run, 'task' | 'unit'>): string {
  // Frames of numbers can be tagged too, but have no words to swap.
  const code = task === 'tagging' && unit === 'number' ? undefined : TASK_QUESTIONS[task]
  return text(code ?? UNIT_QUESTIONS[unit])
}

const CHECK_CODES = {
  checking: 'CHECK_RUNNING',
  holds: 'FACTS_CHECK_HOLDS',
  fails: 'FACTS_CHECK_FAILS',
  unknown: 'CHECK_UNKNOWN',
} as const

/** Return the code of the sentence about the check of the equations; without a check, that it runs. */
export const checkCode = (check: { state: keyof typeof CHECK_CODES } | null): Code =>
  CHECK_CODES[check?.state ?? 'checking']

/** Return the badge of the engine that computed a trace, and its explanation; null for an empty text. */
export function engineBadge(engine: string): { badge: string; meaning: string } | null {
  if (!engine) return null
  const engines = engine.split(', ')
  const native = engines.some((name) => name.includes('native'))
  if (!engine.startsWith('browser'))
    return {
      badge: text('ENGINE_PYTHON'),
      meaning: native ? text('ENGINE_PYTHON_NATIVE_MEANING') : text('ENGINE_PYTHON_PLAIN_MEANING'),
    }
  if (!native) return { badge: text('ENGINE_JAVASCRIPT'), meaning: text('ENGINE_JAVASCRIPT_MEANING') }
  const relaxed = engines.some((name) => name.includes('relaxed'))
  return {
    badge: text('ENGINE_WASM'),
    meaning: relaxed ? text('ENGINE_WASM_RELAXED_MEANING') : text('ENGINE_WASM_MEANING'),
  }
}

/** Explain the outcome of the check of the equations. */
export function equationCheck(holds: boolean, tolerance: number): string {
  return holds ? text('CHECK_HOLDS', { tolerance }) : text('CHECK_FAILS', { tolerance })
}
