// Explanations for a reader of one blog post about LSTMs: what each kind of signal is, and one thing to try.
import type { Run, Unit } from '../data/run'
import { type Code, text } from '../messages/text'

const MEANINGS: Record<string, Code> = {
  'input gate': 'SIGNAL_INPUT_GATE',
  'forget gate': 'SIGNAL_FORGET_GATE',
  'output gate': 'SIGNAL_OUTPUT_GATE',
  candidate: 'SIGNAL_CANDIDATE',
  'candidate state': 'SIGNAL_CANDIDATE',
  'cell state': 'SIGNAL_CELL_STATE',
  'hidden state': 'SIGNAL_HIDDEN_STATE',
  'update gate': 'SIGNAL_UPDATE_GATE',
  'reset gate': 'SIGNAL_RESET_GATE',
}

/** Return one sentence about a signal; empty if its title is not one of the common ones. */
export function signalMeaning(title: string, cell: string): string {
  if (title === 'update gate' && cell !== 'gru') return text('SIGNAL_UPDATE_GATE_OTHER')
  const code = MEANINGS[title.replace(/ \(.*\)$/, '')]
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

/** Explain the outcome of the check of the equations. */
export function equationCheck(holds: boolean, tolerance: number): string {
  return holds ? text('CHECK_HOLDS', { tolerance }) : text('CHECK_FAILS', { tolerance })
}
