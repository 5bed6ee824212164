// Formats every YAML file under a folder, in place, with the options given as JSON.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createRequire } from 'node:module'

const [root, folder, options] = process.argv.slice(2)
const prettier = createRequire(join(root, 'x.js'))('prettier')
let changed = 0
for (const entry of readdirSync(folder, { recursive: true })) {
  if (!entry.endsWith('.yaml')) continue
  const file = join(folder, entry)
  const text = readFileSync(file, 'utf8')
  const after = await prettier.format(text, { ...JSON.parse(options), parser: 'yaml' })
  if (after !== text) {
    changed++
    writeFileSync(file, after)
  }
}
console.log(changed)
