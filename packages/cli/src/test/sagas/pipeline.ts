/** Something else that has a name, a version and steps. */
export const pipeline = { name: 'deploy', version: 1, steps: [{ run: 'npm test' }] }
