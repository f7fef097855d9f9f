// What every page runs. Each module looks after one thing, by attributes that templates write.
import "./times.js";
import "./copying.js";
import "./opening.js";
import "./rows.js";
import "./keys.js";
import "./live.js";
