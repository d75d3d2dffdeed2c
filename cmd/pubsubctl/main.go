// Command pubsubctl runs the Pub/Sub service on this machine, sets it up on
// Fastly, and publishes to and subscribes from either.
//
// It does nothing but hand over to package cmd and exit with its code.
package main

import (
	"os"

	"github.com/pubsubctl/pubsubctl/cmd"
)

func main() { os.Exit(cmd.Main()) }
