// The English sentences of the parts that are loaded later; web/sentences.ts takes them out of the first script.
import more from '../../../src/gatescope/messages/en/page.json?later'
import { catalogue } from './catalogue.svelte'

catalogue.addEnglish(more)
