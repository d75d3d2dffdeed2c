package apptest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// The tokens of section 13 of the app's contract, signed with the value
// "notasecret" of the key "test".
const (
	TokenRW      = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InRlc3QifQ.eyJleHAiOjQxMDI0NDQ4MDAsIngtZmFzdGx5LXJlYWQiOlsidGVzdCJdLCJ4LWZhc3RseS13cml0ZSI6WyJ0ZXN0Il19.SVUBAA3a9csKuaT6IgsIocSWZ337KW02X-gd-PZw6FE"
	TokenR       = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InRlc3QifQ.eyJleHAiOjQxMDI0NDQ4MDAsIngtZmFzdGx5LXJlYWQiOlsidGVzdCJdfQ.ljDu4B6RMv3xAVdth_lNtccsl_qURmsAERzpbUFG79c"
	TokenNoExp   = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InRlc3QifQ.eyJ4LWZhc3RseS1yZWFkIjpbInRlc3QiXX0.61ZAwRUxOR5axlEzvAtY-27EIYcFksqRQyBSuo1yMak"
	TokenExpired = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InRlc3QifQ.eyJleHAiOjE3MDAwMDAwMDAsIngtZmFzdGx5LXJlYWQiOlsidGVzdCJdfQ.iaJ5jNeYnCU-uk6_9Rcln2HtrNhW6qJPbdVYzpU6Xqg"
	TokenWrap    = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InRlc3QifQ.eyJleHAiOjk5OTk5OTk5OTksIngtZmFzdGx5LXJlYWQiOlsidGVzdCJdfQ.jUXsOFq5cXA2-VLWsoeL5pt9VOTjZEQxqSZohx1gDhg"
	TokenNoKid   = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjQxMDI0NDQ4MDAsIngtZmFzdGx5LXJlYWQiOlsidGVzdCJdfQ.zUenYR2BXHQGsfDHAkOBZP0C6Vd_zf5s-q0_FOrbFHU"
	TokenBadKid  = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6Im5vcGUifQ.eyJleHAiOjQxMDI0NDQ4MDAsIngtZmFzdGx5LXJlYWQiOlsidGVzdCJdfQ.gNL7NRDN9QVzV6ynUpR9k4HFNAyudZsDpMKPDkUvYww"
)

const usualHeader = `{"alg":"HS256","typ":"JWT","kid":"test"}`

// Sign makes a token of a header and claims, both JSON text and taken as they
// are, signed with HMAC-SHA256 whatever the header says.
func Sign(head, claims, secret string) string {
	enc := base64.RawURLEncoding
	signed := enc.EncodeToString([]byte(head)) + "." + enc.EncodeToString([]byte(claims))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + enc.EncodeToString(mac.Sum(nil))
}

// Claims makes a token with these claims, otherwise as usual.
func Claims(claims string) string { return Sign(usualHeader, claims, "notasecret") }

// Reader makes a token that may read the topics.
func Reader(topics ...string) string {
	return Claims(fmt.Sprintf(`{"x-fastly-read":%s}`, list(topics)))
}

// Writer makes a token that may write the topics.
func Writer(topics ...string) string {
	return Claims(fmt.Sprintf(`{"x-fastly-write":%s}`, list(topics)))
}

func list(topics []string) string {
	b, err := json.Marshal(topics)
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(b)
}

// quote is s as a JSON string.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(b)
}
