package grip

// Reason is why an input was refused, in the words the wire uses: the publish
// endpoint answers "Invalid format: " and string(r), a proxy in debug mode
// "Failed to parse accept instructions: " and string(r). Reasons compare with ==.
type Reason string

// Error gives the reason. The reason for an unknown action is empty on the wire,
// so Error says it in its own words.
func (r Reason) Error() string {
	if r == "" {
		return "unknown action"
	}
	return string(r)
}

// Refusals callers tell apart or raise themselves.
const (
	// ErrInstructStatus refuses an application/grip-instruct body that came with
	// another status than 200. ParseInstructJSON does not see the status, so its
	// caller checks and returns this.
	ErrInstructStatus Reason = "response code for application/grip-instruct content must be 200"
	// ErrNotJSON refuses a publish body that is not a JSON object or array, or
	// not UTF-8; the endpoint answers "Body is not valid JSON.".
	ErrNotJSON Reason = "body is not valid JSON"
	// ErrNotObject refuses a publish body that is a JSON array; the endpoint
	// answers "Invalid format." without a reason.
	ErrNotObject Reason = "body is not an object"
	// ErrTooManyFilters refuses a subscribe control message with more than
	// MaxFilters filters. Other bad control messages are ignored; this one ends
	// the socket with close code 1011.
	ErrTooManyFilters Reason = "too many filters"
	// ErrUnwritable refuses to write an Instruct that Grip-* headers cannot
	// carry, such as a channel name with a semicolon.
	ErrUnwritable Reason = "instructions do not fit into headers"
)

// Limits of a session.
const (
	// MaxChannels is how many channels of one session are kept; the rest is
	// dropped without a word.
	MaxChannels = 20
	// MaxFilters is how many filters one channel may name.
	MaxFilters = 5
)
