export const makeSaga = (client: object): object => client
