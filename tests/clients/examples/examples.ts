// Makes the contract's five example calls with types that were generated from the description.
import type { components, paths } from "./schema.js";

type Register = components["schemas"]["Register"];
type Patients =
  paths["/api/nhs/patients"]["get"]["responses"][200]["content"]["application/json"];

const [, , url] = process.argv;

async function call<T>(method: string, path: keyof paths, status: number, body?: unknown, token?: string): Promise<T> {
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.status !== status) {
    throw new Error(`${method} ${path}: ${answer.status}`);
  }
  return (await answer.json()) as T;
}

const nin: Register = {
  email: "test.nin@example.com",
  password: "password123",
  identifierType: "NIN",
  identifierValue: "AB123456C",
  phoneNumber: "+447123456789",
};
const nhs: Register = {
  email: "test.nhs@example.com",
  password: "password123",
  identifierType: "NHS",
  identifierValue: "NHS123456789",
};
const login: components["schemas"]["Login"] = { email: nin.email, password: nin.password };

await call<components["schemas"]["UserView"]>("POST", "/api/auth/register", 201, nin);
await call<components["schemas"]["UserView"]>("POST", "/api/auth/register", 201, nhs);
const token = await call<components["schemas"]["TokenView"]>("POST", "/api/auth/login", 200, login);
const profile = await call<components["schemas"]["UserView"]>(
  "GET", "/api/auth/profile", 200, undefined, token.access_token,
);
const patients = await call<Patients>("GET", "/api/nhs/patients", 200, undefined, token.access_token);
console.log(profile.email, patients.length);
