"""What the check modules share; Ansible sends along with a module what it imports from here."""
