// Explanations for a reader of one blog post about LSTMs: what each kind of signal is, and one thing to try.

const MEANINGS: Record<string, string> = {
  'input gate': 'How much of the new candidate value is let into the cell state: 0 = nothing, 1 = all of it.',
  'forget gate': 'How much of the old cell state is kept: 0 = forget it, 1 = keep all of it.',
  'output gate': 'How much of the cell state is shown to the rest of the network: 0 = hidden, 1 = shown.',
  candidate: 'The new value that the neuron would like to write into its memory.',
  'candidate state': 'The new value that the neuron would like to write into its memory.',
  'cell state': 'The memory of the neuron: it is carried from one step to the next.',
  'hidden state': 'What the neuron says after this step: the next layer, the prediction and its own next step read it.',
  'update gate':
    'Here 1 keeps the old value of the neuron and 0 replaces it by the candidate; values between mix the two.',
  'reset gate': 'How much of the previous hidden state the candidate may look at: 0 = nothing, 1 = all of it.',
}

/** One sentence about a signal, or nothing when its title is not one of the common ones. */
export function meaning(title: string, cell: string): string {
  if (title === 'update gate' && cell !== 'gru')
    return 'How the old value and the candidate are mixed: see the formula.'
  return MEANINGS[title.replace(/ \(.*\)$/, '')] ?? ''
}

const QUESTIONS: Record<string, string> = {
  counter:
    'Delete one a in the text. Do the neurons that count move by one step, and does the network still write as many b’s as a’s?',
  selective_counter:
    'Delete one a. Does the cell state at Y move by one count? Then delete an X: nothing should change.',
  state_memoriser:
    'Change the first letter from A to B. Which neurons change, and which of them still differ ten x’s later?',
  copy: 'Change the second letter only. Which neurons change at once, and which only after the X?',
  addition:
    'Change a number whose marker is 0, then one whose marker is 1. Which neurons move only at the marked ones, and hold the sum to the end?',
  sentiment: 'Put “not” before a word, or take it away. Where does the opinion turn, and which neurons turn with it?',
  tagging:
    'Swap two words. Which labels change, and do the neurons that read from the end change before or after those words?',
  forecasting:
    'Change one number. For how many steps do the forecast and its interval move, and which neurons remember it?',
  text: 'Type an opening quote or bracket. Which neurons switch there, stay switched, and switch back where it closes?',
}

export function question(task: string, unit = 'character'): string {
  if (QUESTIONS[task] && !(task === 'tagging' && unit.startsWith('line'))) return QUESTIONS[task]
  const many = unit.startsWith('line') ? 'steps' : `${unit}s`
  return `Change one ${unit} in the text. Which neurons change after it, and for how many ${many} do they remember it?`
}

export const SURPRISE =
  'How unexpected the character that really came next was, in nats: 0 = the network was sure of it, 0.7 = one chance in two, 2.3 = one in ten, 4.6 = one in a hundred.'

const CHECKED =
  'Every value that you see was put back into its formula, and the formula was computed again with more digits. The residual is the largest difference that was found anywhere.'

export function equationCheck(holds: boolean, tolerance: number): string {
  const meaning = holds
    ? 'Up to the tolerance it is only rounding: what is drawn is what the network really computed.'
    : 'Here it is more than rounding can explain: something on this page is not what its formula says. Please do not trust it, and report it.'
  return `${CHECKED} ${meaning} Tolerance: ${tolerance}.`
}

export const DRIVES =
  'x.… is what was just read (or the layer below) contributes, u.… is what the layer’s own hidden state of one step earlier contributes: both are weighted sums. σ squeezes any number into 0…1, tanh into −1…1, and ₋₁ means “one step earlier”.'

export const DRIVES_REVERSE =
  'This layer reads from the end of the sequence to its beginning. x.… is what was just read (or the layer below) contributes, u.… is what the layer’s own hidden state at the next step of the text contributes, which it read just before: both are weighted sums. σ squeezes any number into 0…1, tanh into −1…1, and ₊₁ means “at the next step of the text”.'

export const NATS =
  'Loss in nats per symbol: the average surprise at the character that really came. 0 would be perfect foresight.'
