// What the server is doing for a study, by the code that it sends.
import { type Code, text } from '../messages/text'

const ACTIVITIES: Record<string, Code> = {
  DOING_ABLATING: 'DOING_ABLATING',
  DOING_ABLATING_NEURON: 'DOING_ABLATING_NEURON',
  DOING_COMPARING: 'DOING_COMPARING',
  DOING_DISTRIBUTIONS: 'DOING_DISTRIBUTIONS',
  DOING_MEASURING: 'DOING_MEASURING',
  DOING_PASSAGES: 'DOING_PASSAGES',
  DOING_PLACES: 'DOING_PLACES',
  DOING_READING_TEXT: 'DOING_READING_TEXT',
  DOING_SNAPSHOT: 'DOING_SNAPSHOT',
  DOING_STARTING: 'DOING_STARTING',
  DOING_THRESHOLDS: 'DOING_THRESHOLDS',
  DOING_WAITING: 'DOING_WAITING',
}

/** Return an activity in words. */
export function activity(code: string): string {
  return text(ACTIVITIES[code] ?? 'DOING_STARTING')
}
