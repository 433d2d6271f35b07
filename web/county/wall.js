// Opens the page anew when more windows have come than it has places for.

const room = document.getElementById("room");

room.addEventListener("live", () => {
  const windows = Number(room.firstElementChild.dataset.windows);
  if (windows > document.querySelectorAll(".place").length) location.reload();
});
