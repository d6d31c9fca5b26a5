// A chat server: answers every message with what it got, and sends numbered ticks of its own.
// Usage: node server.mjs NAME; prints the port that it listens on, then "came" for each visitor and
// "heard VISITOR NUMBER" for each message.
import { createServer } from "node:http";
import { Server } from "socket.io";

const TICK_MS = 20;
const name = process.argv[2];
const http = createServer();
const io = new Server(http);

io.on("connection", (socket) => {
  console.log("came");
  const got = [];
  let ticks = 0;
  const ticking = setInterval(() => socket.emit("tick", ticks++), TICK_MS);
  socket.on("say", (number, data, answer) => {
    got.push(number);
    console.log(`heard ${socket.handshake.auth.name} ${number}`);
    answer(number, data, name);
  });
  socket.on("leave", (answer) => {
    clearInterval(ticking);
    answer(ticks, got);
  });
  socket.on("disconnect", () => clearInterval(ticking));
});
http.listen(0, "127.0.0.1", () => console.log(http.address().port));
