# Linear regression from scratch.
import torch

torch.manual_seed(0)
true_w, true_b = torch.tensor([2.0, -3.4]), 4.2
X = torch.normal(0, 1, (500, 2))
y = X @ true_w + true_b + torch.normal(0, 0.01, (500,))
w = torch.normal(0, 0.01, size=(2, 1), requires_grad=True)
b = torch.zeros(1, requires_grad=True)


def linreg(X, w, b):
    return torch.matmul(X, w) + b


def squared_loss(y_hat, y):
    return (y_hat - y.reshape(y_hat.shape)) ** 2 / 2


def sgd(params, lr, batch_size):
    with torch.no_grad():
        for param in params:
            param -= lr * param.grad / batch_size


for epoch in range(3):
    for i in range(0, 500, 10):
        l = squared_loss(linreg(X[i : i + 10], w, b), y[i : i + 10])
        l.sum().backward()
        sgd([w, b], 0.03, 10)
    with torch.no_grad():
        print(f"epoch {epoch + 1}, loss {float(squared_loss(linreg(X, w, b), y).mean()):f}")
