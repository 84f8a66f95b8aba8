"""Transfer: analyse the inputs, optimise the mel, render it at a strength."""
