// Package tail is the full-screen live view of topics.
//
// What it promises:
//
//   - Memory is bounded. The ring holds at most so many messages and so many
//     bytes; what falls out is counted and the count is on the screen.
//   - The screen never waits for data and keys never do: messages arrive in
//     batches, a redraw costs what is visible, a filter or a search over the
//     whole ring runs in slices of a few milliseconds.
//   - The state of the connection is what the client last said, never a guess:
//     open means that the service has confirmed it.
//   - Nothing from the network reaches the terminal as it came. Control
//     characters, characters that reorder text, and those whose width terminals
//     disagree about are shown as escapes, so columns stay aligned.
//   - The terminal is as it was when Run returns, whatever ended it.
//
// A message goes from the client's goroutine through one bounded channel into
// feeds.next, which waits for one and takes what is there for up to a frame;
// Update appends the batch to the ring and the counters; View reads the visible
// rows. If the screen cannot keep up the channel fills, the client stops
// reading, and in the end the service cuts the connection, which shows as a gap.
// Nothing is dropped on the way without a word.
//
// Not promised: that a terminal took what y copied (OSC 52 has no answer), and
// that a latency is exact (it compares a time in the message with this clock).
package tail
