"""The audit log: who did what to pictures, in lines of which none can be changed or taken out unseen."""
