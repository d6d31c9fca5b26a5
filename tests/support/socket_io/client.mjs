// Someone who chats: says numbered things, some of them binary, and listens, until standard input ends.
// Usage: node client.mjs URL TRANSPORT,... NAME [again]; says "connected" each time that it is, and at the end
// what it has seen, as JSON. With "again" it connects again when it was cut off.
import { io } from "socket.io-client";

const SAY_MS = 25;
const LEAVE_MS = 5000;
const [url, transports, name, again] = process.argv.slice(2);
const socket = io(url, {
  transports: transports.split(","),
  auth: { name },
  reconnection: again === "again",
  reconnectionDelay: 50,
  reconnectionDelayMax: 200,
});
const seen = { answers: [], servers: [], wrong: 0, ticks: [], ends: [] };
let said = 0;

function say() {
  if (!socket.connected) return;
  const number = said++;
  const data = Buffer.alloc((number % 7) * 1000, number % 256);
  socket.emit("say", number, data, (answered, back, server) => {
    seen.answers.push(answered);
    if (!seen.servers.includes(server)) seen.servers.push(server);
    if (!data.equals(Buffer.from(back))) seen.wrong++;
  });
}

function leave() {
  // What was sent before this is answered has come before the answer. Who was cut off asks again.
  socket.timeout(LEAVE_MS).emit("leave", (cutOff, ticks, got) => {
    if (cutOff) leave();
    else report({ sent_ticks: ticks, got });
  });
}

function report(more) {
  console.log(JSON.stringify({ ...seen, ...more, said, transport: socket.io.engine?.transport?.name }));
  process.exit(0);
}

socket.on("tick", (number) => seen.ticks.push(number));
socket.on("disconnect", (reason) => seen.ends.push(reason));
socket.on("connect_error", (error) => again || report({ failed: String(error) }));
socket.on("connect", () => console.log("connected"));
const saying = setInterval(say, SAY_MS);
process.stdin.on("end", () => {
  clearInterval(saying);
  leave();
});
process.stdin.resume();
