// Pictures to try the page with, drawn here: no photograph of anybody is in it.
import { type Picture, pixelsOf } from "./picture";

type Context = CanvasRenderingContext2D;
type Point = [number, number];

const SIDE = 256;

function ground(c: Context, ...stops: [number, string][]): void {
  const gradient = c.createLinearGradient(0, 0, 0, SIDE);
  for (const [at, colour] of stops) gradient.addColorStop(at, colour);
  c.fillStyle = gradient;
  c.fillRect(0, 0, SIDE, SIDE);
}

function polygon(c: Context, colour: string, ...points: Point[]): void {
  c.fillStyle = colour;
  c.beginPath();
  for (const [x, y] of points) c.lineTo(x, y);
  c.closePath();
  c.fill();
}

function ellipse(
  c: Context,
  colour: string,
  x: number,
  y: number,
  rx: number,
  ry: number,
  turn = 0,
): void {
  c.fillStyle = colour;
  c.beginPath();
  c.ellipse(x, y, rx, ry, turn, 0, 2 * Math.PI);
  c.fill();
}

function wheel(c: Context, x: number, y: number, radius: number): void {
  ellipse(c, "#17191c", x, y, radius, radius);
  ellipse(c, "#9aa1a8", x, y, radius * 0.5, radius * 0.5);
}

function ship(c: Context): void {
  ground(c, [0, "#a9c6de"], [0.55, "#d5e2ea"], [0.56, "#3b6a8c"], [1, "#1f4460"]);
  polygon(c, "#f2f2ee", [70, 120], [196, 120], [190, 148], [70, 148]);
  polygon(c, "#e3e3de", [96, 92], [168, 92], [168, 122], [96, 122]);
  polygon(c, "#b03a2e", [118, 62], [140, 62], [142, 94], [116, 94]);
  polygon(c, "#23303c", [26, 146], [236, 146], [214, 188], [52, 188]);
  polygon(c, "#8e2f26", [45, 176], [221, 176], [214, 188], [52, 188]);
  for (let x = 82; x < 186; x += 20) ellipse(c, "#31475a", x, 134, 5, 5);
}

function airplane(c: Context): void {
  ground(c, [0, "#5d9bd3"], [1, "#b9d8ef"]);
  c.save();
  c.translate(128, 128);
  c.rotate(-0.16);
  polygon(c, "#c3c9cf", [-12, -4], [22, -4], [-34, -66], [-52, -66]);
  ellipse(c, "#eef1f4", 0, 0, 104, 17);
  polygon(c, "#d6dce2", [-98, -6], [-70, -10], [-96, -52], [-114, -52]);
  polygon(c, "#9da6ae", [-16, 4], [26, 4], [-40, 74], [-60, 74]);
  ellipse(c, "#3b4a57", 86, -5, 10, 5);
  c.restore();
}

function car(c: Context): void {
  ground(c, [0, "#b7c3c9"], [0.5, "#ccd2d2"], [0.62, "#85888a"], [1, "#5f6264"]);
  ellipse(c, "rgba(20, 22, 24, .55)", 128, 196, 108, 12);
  polygon(c, "#a61d1d", [62, 134], [92, 90], [168, 90], [202, 134]);
  polygon(c, "#29353f", [76, 132], [98, 100], [126, 100], [126, 132]);
  polygon(c, "#29353f", [134, 132], [134, 100], [162, 100], [186, 132]);
  polygon(c, "#c62424", [18, 140], [44, 128], [214, 128], [238, 144], [238, 184], [20, 184]);
  polygon(c, "#8e1717", [20, 172], [238, 172], [238, 186], [20, 186]);
  ellipse(c, "#f6eec0", 230, 150, 8, 7);
  wheel(c, 68, 184, 25);
  wheel(c, 188, 184, 25);
}

function truck(c: Context): void {
  ground(c, [0, "#9fc0da"], [0.6, "#d9e3e6"], [0.68, "#7d7f7c"], [1, "#56585a"]);
  polygon(c, "#f0efe9", [16, 62], [166, 62], [166, 172], [16, 172]);
  polygon(c, "#cfcec7", [16, 158], [166, 158], [166, 174], [16, 174]);
  polygon(c, "#2c5f9e", [172, 96], [216, 96], [238, 132], [238, 178], [172, 178]);
  polygon(c, "#23303c", [184, 106], [211, 106], [226, 132], [184, 132]);
  polygon(c, "#2b2e31", [14, 174], [240, 174], [240, 186], [14, 186]);
  for (const x of [48, 92, 206]) wheel(c, x, 190, 21);
}

function bird(c: Context): void {
  ground(c, [0, "#86a06a"], [1, "#b9c49a"]);
  c.strokeStyle = "#5d4631";
  c.lineWidth = 14;
  c.beginPath();
  c.moveTo(0, 214);
  c.lineTo(256, 196);
  c.stroke();
  polygon(c, "#4c5a66", [52, 158], [92, 132], [104, 158], [26, 200]);
  ellipse(c, "#7c6653", 128, 136, 56, 40, 0.35);
  ellipse(c, "#d9a35b", 150, 146, 38, 30, 0.5);
  ellipse(c, "#6b5747", 176, 92, 30, 27);
  polygon(c, "#e0a92e", [200, 84], [238, 94], [200, 103]);
  ellipse(c, "#111", 185, 86, 5, 5);
  ellipse(c, "#4c4038", 110, 132, 42, 22, 0.45);
  c.lineWidth = 5;
  c.beginPath();
  c.moveTo(130, 172);
  c.lineTo(126, 206);
  c.moveTo(150, 174);
  c.lineTo(150, 204);
  c.stroke();
}

function frog(c: Context): void {
  ground(c, [0, "#6d6a52"], [1, "#8a7b58"]);
  ellipse(c, "#4f7d2a", 62, 186, 46, 26, -0.4);
  ellipse(c, "#4f7d2a", 194, 186, 46, 26, 0.4);
  ellipse(c, "#6ea63a", 128, 158, 78, 54);
  ellipse(c, "#7cb545", 128, 108, 62, 40);
  for (const x of [88, 168]) {
    ellipse(c, "#7cb545", x, 74, 23, 23);
    ellipse(c, "#e9dc8c", x, 72, 15, 15);
    ellipse(c, "#16180f", x, 72, 8, 10);
  }
  ellipse(c, "#cfd99a", 128, 178, 46, 30);
  ellipse(c, "#3c5d20", 128, 122, 44, 5);
  ellipse(c, "#5d9132", 92, 210, 26, 12);
  ellipse(c, "#5d9132", 164, 210, 26, 12);
}

const DRAWINGS = { ship, airplane, car, truck, bird, frog };

export interface Sample {
  name: string;
  picture: Picture;
}

export function drawSamples(): Sample[] {
  return Object.entries(DRAWINGS).map(([name, draw]) => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = SIDE;
    draw(canvas.getContext("2d", { willReadFrequently: true })!);
    return { name, picture: pixelsOf(canvas, SIDE, SIDE) };
  });
}
