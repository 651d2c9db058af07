"""What an operator has done to requests and answers: prompts, thinking, a guard, personal data, defaults. Pure: bytes in, bytes out."""
